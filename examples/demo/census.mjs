import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import { defineTask } from 'pawl'
import ts from 'typescript'

/** One file of the census: what it weighs, plain and packed as small as it gets, and how many tokens it has. */
export default defineTask(import.meta.url, (/** @type {string} */ path) => {
  const bytes = readFileSync(path)
  return {
    path,
    size: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    gzip: gzipSync(bytes, { level: 9 }).length,
    brotli: brotliCompressSync(bytes, {
      params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
    }).length,
    tokens: countTokens(bytes.toString()),
  }
})

/** Counts tokens with the scanner of TypeScript; comments and white space are none. */
function countTokens(/** @type {string} */ source) {
  const scanner = ts.createScanner(ts.ScriptTarget.Latest, true, ts.LanguageVariant.Standard, source)
  let count = 0
  while (scanner.scan() !== ts.SyntaxKind.EndOfFileToken) count++
  return count
}
