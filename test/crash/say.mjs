// @ts-check
import { writeSync } from 'node:fs'

/** Prints a word and JSON, at once and whole, for a parent that hears it (hear.ts). @param {string} word @param {unknown} value */
export function say(word, value) {
  // A pipe takes of a long line what it has room for.
  for (let rest = Buffer.from(`${word} ${JSON.stringify(value)}\n`); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EAGAIN') throw error
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
    }
  }
}
