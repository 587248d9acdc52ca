import { readFileSync } from 'node:fs'

/**
 * The version of this package. Read as a file: to resolve the package by its own name takes longer, and a run waits for it.
 * What is published has it written in (scripts/bundle.mjs): a program that bundles pawl has no package.json of pawl's.
 */
export function ownVersion(): string {
  return JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version
}
