/**
 * JSON checkpoint: read by a person, with plain tools.
 *
 * Run it:  node examples/json-checkpoint.mjs
 *
 * With `format: 'json'` each line of a file under `<runId>/seg/` is a JSON object: `index` says which items, as numbers
 * and `[first, last]`, `values` what came of them, in that order; a line with `failed` is a failure. Lines that have
 * neither are for pawl itself. The shell can do it too:  grep -h '"failed"' runs/readings/seg/*.json
 */
import { execFileSync } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute } from 'pawl'

const directory = await mkdtemp(join(tmpdir(), 'pawl-'))
const readings = ['12.5', '13', 'n/a', '11.25', '12']

await execute(
  (text) => {
    const celsius = Number(text)
    if (Number.isNaN(celsius)) throw new TypeError(`'${text}' is no number`)
    return { celsius, fahrenheit: celsius * 1.8 + 32 }
  },
  readings,
  { runId: 'readings', checkpoint: { store: directory, format: 'json' }, maxFailures: 1 },
)

const segments = join(directory, 'readings', 'seg')
const files = (await readdir(segments)).map((name) => join(segments, name))
const found = new Map()
for (const file of files) {
  for (const line of (await readFile(file, 'utf8')).trimEnd().split('\n')) {
    const { index = [], values } = JSON.parse(line)
    const indices = index.flatMap((/** @type {number | [number, number]} */ part) => expand(part))
    indices.forEach((/** @type {number} */ at, /** @type {number} */ i) => found.set(at, values[i]))
  }
}
for (const index of [...found.keys()].sort()) console.log(index, JSON.stringify(found.get(index)))

const failure = JSON.parse(execFileSync('grep', ['-h', '"failed"', ...files], { encoding: 'utf8' }))
console.log(failure.failed.index, failure.values[0].message)

await rm(directory, { recursive: true })

function expand(/** @type {number | [number, number]} */ part) {
  const [first, last] = typeof part === 'number' ? [part, part] : part
  return Array.from({ length: last - first + 1 }, (_, i) => first + i)
}

// Output:
// 0 {"celsius":12.5,"fahrenheit":54.5}
// 1 {"celsius":13,"fahrenheit":55.400000000000006}
// 3 {"celsius":11.25,"fahrenheit":52.25}
// 4 {"celsius":12,"fahrenheit":53.6}
// 2 'n/a' is no number
