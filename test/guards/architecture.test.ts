import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8')

test.each(['checkpoint', 'engine'])('the architecture page names each file of %s/ once', (folder) => {
  const table = page.match(new RegExp(`^\\| \`${folder}/\` \\|(.*\\n)+?\\n`, 'm'))?.[0] ?? ''
  const named = Array.from(table.matchAll(/`([\w-]+\.ts)`/g), ([, name]) => name)
  expect(named.sort()).toEqual(readdirSync(join(root, 'src', folder)).filter((name) => name.endsWith('.ts')))
})
