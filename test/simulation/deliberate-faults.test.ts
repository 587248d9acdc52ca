import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FAULTS } from './deliberate-faults.mjs'

const root = join(import.meta.dirname, '../..')

test.each(FAULTS)('has one place to put in: $name', ({ file, search }) => {
  expect(readFileSync(join(root, file), 'utf8').split(search)).toHaveLength(2)
})
