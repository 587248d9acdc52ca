import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { makePerformance } from '../../scripts/performance.mjs'

/** docs/performance.md says what was measured, and nothing else: `npm run docs` makes it and its charts. */

const root = join(import.meta.dirname, '../..')
const files = makePerformance()

test.each(Object.entries(files))('%s is what the results in bench/results/ come to', (path, content) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(content)
})

test('docs/charts/ holds no chart that nothing makes', () => {
  const charts = existsSync(join(root, 'docs/charts')) ? readdirSync(join(root, 'docs/charts')) : []
  expect(charts.filter((name) => !(`docs/charts/${name}` in files))).toEqual([])
})
