import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { describeSoak, writeSoak } from '../../scripts/soak-table.mjs'

const root = join(import.meta.dirname, '../..')

test('docs/reliability.md has the figures of the last soak, of every kind of fault, and nothing acknowledged was missing', () => {
  const results = JSON.parse(readFileSync(join(root, 'test/soak/results.json'), 'utf8'))
  const page = readFileSync(join(root, 'docs/reliability.md'), 'utf8')
  expect(page).toBe(writeSoak(page, results))
  expect(describeSoak(results).match(/^\| /gm)).toHaveLength(2 + Object.keys(results.rows).length)
  for (const [row, { missing }] of Object.entries<Record<string, number>>(results.rows)) expect(missing, row).toBe(0)
})
