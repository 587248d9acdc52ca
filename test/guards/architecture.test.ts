import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/architecture.md'), 'utf8')

test.each(['checkpoint', 'engine'])('the architecture page names each file of %s/ once', (folder) => {
  const table = page.match(new RegExp(`^\\| \`${folder}/\` \\|(.*\\n)+?\\n`, 'm'))?.[0] ?? ''
  const named = table.split('\n').flatMap((row) => {
    const [, inner = ''] = row.match(/^\| `([\w-]+\/)` \|/) ?? []
    return Array.from(row.matchAll(/`([\w-]+\.ts)`/g), ([, name]) => inner + name)
  })
  const files = readdirSync(join(root, 'src', folder), { recursive: true, encoding: 'utf8' })
  expect(named.sort()).toEqual(files.filter((name) => name.endsWith('.ts')).sort())
})
