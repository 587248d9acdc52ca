import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { expect, test } from 'vitest'

/** Lowest first: a file may import from its own row, but for other folders there, and the rows above it. This list is the architecture. */
const LAYERS = [
  ['types.ts'],
  ['errors.ts', 'wording.ts', 'clock.ts', 'sha256.ts', 'turn.ts', 'version.ts'],
  [
    'store/',
    'values/',
    'carried-error.ts',
    'hearing.ts',
    'is-record.ts',
    'machine.ts',
    'members.ts',
    'move.ts',
    'nearest.ts',
    'nesting.ts',
  ],
  ['items/', 'options/', 'task/'],
  ['plan/'],
  ['checkpoint/format/'],
  ['checkpoint/patience/'],
  ['checkpoint/reading/'],
  ['checkpoint/log/'],
  ['checkpoint/claims/'],
  ['checkpoint/record/'],
  ['checkpoint/identity/'],
  ['checkpoint/snapshots/'],
  ['checkpoint/session/'],
  ['checkpoint/stored/'],
  ['stages/', 'events.ts', 'drain.ts', 'preempt/'],
  ['engine/', 'engines.ts'],
  ['run/'],
  ['execute.ts', 'executor.ts'],
  ['index.ts', 'stored-runs.ts', 'cli/'],
] as const

/** What each package may be imported by. Those marked 'late' are loaded when a run needs them, never by `import 'pawl'`. */
const PACKAGES: Record<string, { readonly by: RegExp; readonly late: boolean }> = {
  piscina: { by: /^(engine\/|engines\.ts$)/, late: true },
  msgpackr: { by: /^values\//, late: true },
  opossum: { by: /^stages\//, late: true },
  'p-retry': { by: /^stages\//, late: true },
  commander: { by: /^cli\//, late: false },
  'csv-parse': { by: /^(cli\/|items\/file-items\.ts$)/, late: false },
  'cli-progress': { by: /^cli\//, late: false },
  'cli-table3': { by: /^cli\//, late: false },
  tinyglobby: { by: /^cli\//, late: false },
}

const root = join(import.meta.dirname, '../../src')
const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
const layerOf = (file: string) => LAYERS.findIndex((layer) => layer.some((part) => file.startsWith(part)))

/** Imports of a file: `isType` when nothing of them is left at run time, `isLate` for `import()`. */
const importsOf = (file: string) => {
  const source = readFileSync(join(root, file), 'utf8').replace(/^ *(\/\*\*|\*|\/\/).*$/gm, '')
  const fixed = source.matchAll(/^(?:import|export)( type)? ?(?:[^;'"=()]*? from )?'([^']+)'/gm)
  const late = source.matchAll(/\b(?:import|require|createRequire\([^()]*\))\('([^']+)'\)/g)
  return [
    ...[...fixed].map(([, type, from]) => ({ from: from as string, isType: type !== undefined, isLate: false })),
    ...[...late].map(([, from]) => ({ from: from as string, isType: false, isLate: true })),
  ]
}
const resolved = (file: string, from: string) => posix.join(dirname(file), from)

test.each(files)('%s imports nothing from a higher layer, or from another folder of its own', (file) => {
  expect(layerOf(file), `${file} is in no layer`).toBeGreaterThanOrEqual(0)
  const isOther = (it: string) => dirname(file) !== '.' && dirname(it) !== '.' && dirname(it) !== dirname(file)
  const isStray = (it: string) => layerOf(it) > layerOf(file) || (layerOf(it) === layerOf(file) && isOther(it))
  const imports = importsOf(file).flatMap(({ from }) => (from.startsWith('.') ? [resolved(file, from)] : []))
  expect(imports.filter(isStray)).toEqual([])
})

test('no file imports itself by way of others, be it a type', () => {
  const graph = new Map(
    files.map((file) => [
      file,
      importsOf(file)
        .filter(({ from }) => from.startsWith('.'))
        .map(({ from }) => resolved(file, from)),
    ]),
  )
  const reaches = (from: string, to: string, seen = new Set<string>()): boolean =>
    (graph.get(from) ?? []).some((it) => it === to || (!seen.has(it) && reaches(it, to, seen.add(it))))
  expect(files.filter((file) => reaches(file, file))).toEqual([])
})

test('packages are imported where they belong, and none by import "pawl" itself', () => {
  const found = files.flatMap((file) => importsOf(file).map((it) => ({ file, ...it })))
  const used = found.filter(({ from }) => !from.startsWith('.') && !from.startsWith('node:'))
  const misplaced = used.filter(({ file, from, isType }) => !isType && !PACKAGES[from.split('/')[0] as string]?.by.test(file))
  expect(misplaced).toEqual([])

  const loaded = new Set<string>()
  const load = (file: string) => {
    for (const { from, isType, isLate } of importsOf(file)) {
      if (isType || isLate) continue
      const name = from.startsWith('.') ? resolved(file, from) : from
      if (loaded.has(name)) continue
      loaded.add(name)
      if (from.startsWith('.')) load(name)
    }
  }
  load('index.ts')
  expect([...loaded].filter((it) => PACKAGES[it]?.late)).toEqual([])
})
