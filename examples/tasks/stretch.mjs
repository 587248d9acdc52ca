import { pbkdf2Sync } from 'node:crypto'
import { defineTask } from 'pawl'

/** A key derived from a word; takes some milliseconds on purpose. */
export const stretch = defineTask(import.meta.url, (/** @type {string} */ word) =>
  pbkdf2Sync(word, 'salt', 10_000, 16, 'sha256').toString('hex'),
)
