import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { OPTIONS } from '../../src/options/option-table.ts'

/** What messages say of options that are flags, too, they say so that the command line can name the flag: by a mention. */

const root = join(import.meta.dirname, '../../src')

test('a message that says what was expected says what it got', () => {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((it) => it.endsWith('.ts'))
  const lines = files.flatMap((file) => readFileSync(join(root, file), 'utf8').split('\n'))
  const expecting = lines.filter((line) => /Cannot .*: expected (?!\$\{problem\})/.test(line))
  expect(expecting.length).toBeGreaterThan(50)
  expect(expecting.filter((line) => !/\bgot\b/.test(line))).toEqual([])
})

/** Said to programs only. */
const EXCEPTIONS = [
  "to be used together with 'checkpoint'", // The command line has a sentence of its own, of its flags.
  "was not packed within 'timeout'", // Told by `workerExit` alone.
  "did not end within 'drainTimeout'", // The same.
  "with 'retry: 0' and 'maxFailures: 0'", // Of a breaker, which no flag asks for.
]

test('no message of the library names an option that has a flag, but by a mention', () => {
  const names = Object.entries(OPTIONS).flatMap(([name, { flag }]) => (flag === undefined ? [] : [name]))
  // In a sentence: something is said before, and it is neither a mention, nor what a mention is for programs.
  const naming = new RegExp(`(?:\`[^\`\n]*|"[^"\n]*)'(?:${names.join('|')})(?:: [^']*)?'`, 'g')
  const mentioning = /\b(?:option\((?:'[^']*'|"[^"]*"|`[^`]*`|[^'"`()]|\([^()]*\))*\)|says: ?(?:"[^"]*"|`[^`]*`))/g
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (it) => it.endsWith('.ts') && !it.startsWith('cli/'),
  )
  const found = files.flatMap((file) => {
    const source = readFileSync(join(root, file), 'utf8')
      .replace(/^ *(\/\*\*|\*|\/\/).*$/gm, '')
      .replace(mentioning, '')
    return [...source.matchAll(naming)].map(([text]) => `${file}: ${text}`)
  })
  expect(found.filter((it) => !EXCEPTIONS.some((known) => it.endsWith(known)))).toEqual([])
  expect(EXCEPTIONS.filter((known) => !found.some((it) => it.endsWith(known)))).toEqual([])
})
