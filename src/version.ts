import { readFileSync } from 'node:fs'

/** The version of this package. Read as a file: to resolve the package by its own name takes longer, and a run waits for it. */
export function ownVersion(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
}
