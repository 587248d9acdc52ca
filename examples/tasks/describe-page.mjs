import { createHash } from 'node:crypto'
import { defineTask } from 'pawl'

/** @typedef {{ title: string, text: string }} Page */

/** What there is to say about a page. */
export const describePage = defineTask(import.meta.url, (/** @type {Page} */ { title, text }) => {
  const words = text.match(/\p{Letter}+/gu) ?? []
  return {
    title,
    words: words.length,
    longest: words.reduce((longest, word) => (word.length > longest.length ? word : longest), ''),
    digest: createHash('sha256').update(text).digest('hex'),
  }
})
