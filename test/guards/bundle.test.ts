import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
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

test('all that a run needs is named in an import, for tools that gather the files of a program to deploy it: they follow no other', () => {
  const files = loadedBy('index.js', true)
  expect(files).toContain('worker.js')
  const sources = files.map((file) => readFileSync(join(dist, file), 'utf8')).join('\n')
  const packages = new Set(Array.from(sources.matchAll(/\brequire(?:Here|\.resolve)?\("([^"]+)"\)/g), ([, name]) => name))
  expect([...packages].sort()).toEqual(['msgpackr', 'msgpackr/index-no-eval', 'piscina'])
  for (const name of packages) expect(sources).toContain(`import("${name}")`)
})

test('webpack, and so ncc and Next.js, leaves alone what imports a task: made its own, such an import finds nothing', () => {
  const sources = loadedBy('index.js', true).map((file) => readFileSync(join(dist, file), 'utf8'))
  const imports = sources.flatMap((source) => source.match(/\bimport\(__rewriteRelativeImportExtension[^;]*;/g) ?? [])
  expect(imports).toHaveLength(2)
  for (const it of imports) expect(it).toContain('/* webpackIgnore: true */')
})

test('a run without a checkpoint loads none of what Node has for hashes, which takes 2.5 ms', () => {
  for (const file of ['engine.js', ...loadedBy('engine.js', false), 'run.js', ...loadedBy('run.js', false)]) {
    expect(readFileSync(join(dist, file), 'utf8'), file).not.toMatch(/^(?:import|const) .*"node:crypto"/m)
  }
})

test('what is published is ASCII, and says the same as the sources', () => {
  const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) => /\.c?js$/.test(file))
  expect(files.length).toBeGreaterThan(15)
  const sources = files.map((file) => readFileSync(join(dist, file), 'latin1'))
  expect(files.filter((_, at) => /[^\0-\x7f]/.test(sources[at] as string))).toEqual([])
  expect(files.filter((_, at) => sources[at]?.includes('String.raw'))).toEqual([]) // Escapes would stay what they look like.
})

test('the files of Piscina that are loaded in turns of their own are there', () => {
  const main = createRequire(import.meta.url).resolve('piscina')
  const source = readFileSync(join(import.meta.dirname, '../../src/engine/load-piscina.ts'), 'utf8')
  const parts = [...source.matchAll(/'([^']+\/index\.js)'/g)].map(([, part]) => part as string)
  expect(parts).toHaveLength(2)
  expect(parts.filter((part) => !existsSync(join(main, '..', part)))).toEqual([])
})
