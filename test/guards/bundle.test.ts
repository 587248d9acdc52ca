import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const dist = join(import.meta.dirname, '../../dist')

/** All files that `entry` loads, in order of names; `isLate`: also those that it loads when it needs them. */
function loadedBy(entry: string, isLate: boolean): string[] {
  const found = new Set([entry])
  for (const file of found) {
    const source = readFileSync(join(dist, file), 'utf8')
    const imports = source.matchAll(isLate ? /\b(?:from|import) ?\(?"\.\/([^"]+)"/g : /^(?:import|export)\b[^;]*?"\.\/([^"]+)"/gm)
    for (const [, next] of imports) found.add(next as string)
  }
  return [...found].filter((file) => file !== entry).sort()
}

test('a worker loads none of what plans, dispatches or writes, whatever is recorded: each thread would compile it', () => {
  expect(loadedBy('worker.js', false)).toEqual(['shared.js'])
  expect(loadedBy('worker.js', true)).toEqual(['json.js', 'json2.js', 'msgpack.js', 'shared.js', 'values.js'])
})

test("`import 'pawl'` loads none of what only a run needs", () => {
  expect(loadedBy('index.js', false)).toEqual(['pawl.js', 'shared.js'])
})
