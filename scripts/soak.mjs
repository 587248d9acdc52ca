// @ts-check
/**
 * The long form of the tests that have one: faults at every system call, hundreds of kills and power cuts. Writes what
 * test/crash/ saw to test/soak/results.json, and from there into docs/reliability.md.
 *
 * Run it:  npm run soak                     (half an hour on two cores; as root on Linux, or much of it is skipped)
 *          npm run soak -- test/crash       (only these tests)
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describeMachine } from '../bench/results.mjs'
import { writeSoak } from './soak-table.mjs'

const root = join(import.meta.dirname, '..')
const CRASH = 'test/crash'
const asked = process.argv.slice(2)
const isComplete = asked.length === 0

/** Tests that look at PAWL_SOAK, test/crash aside. */
function listOthers() {
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).map((file) => join('test', file))
  const tests = files.filter((file) => file.endsWith('.test.ts') && !file.startsWith(CRASH))
  return tests.filter((file) => readFileSync(join(root, file), 'utf8').includes('PAWL_SOAK'))
}

/** @param {readonly string[]} tests @param {NodeJS.ProcessEnv} env */
function run(tests, env) {
  const { status } = spawnSync(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...tests], {
    cwd: root,
    env: { ...process.env, ...env, PAWL_SOAK: '1' },
    stdio: 'inherit',
  })
  if (status !== 0) process.exitCode = 1
  return status === 0
}

/** Sums what was noted, by row. @param {string} text */
function sum(text) {
  /** @type {import('./soak-table.mjs').SoakResults['rows']} */
  const rows = {}
  for (const line of text.split('\n').filter(Boolean)) {
    const { row, figures } = /** @type {{ row: string, figures: Record<string, number> }} */ (JSON.parse(line))
    rows[row] ??= {}
    const sums = rows[row]
    for (const [name, count] of Object.entries(figures)) sums[name] = (sums[name] ?? 0) + count
  }
  return rows
}

/** Figures of tests that were not asked for stay. @param {import('./soak-table.mjs').SoakResults['rows']} rows */
function save(rows) {
  const file = join(root, 'test/soak/results.json')
  const before = isComplete ? {} : JSON.parse(readFileSync(file, 'utf8')).rows
  const results = { date: new Date().toISOString(), machine: describeMachine(), rows: { ...before, ...rows } }
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`)
  const page = join(root, 'docs/reliability.md')
  writeFileSync(page, writeSoak(readFileSync(page, 'utf8'), results))
}

const directory = mkdtempSync(join(tmpdir(), 'pawl-soak-'))
try {
  if (isComplete || asked.some((test) => test.startsWith(CRASH))) {
    const figures = join(directory, 'figures')
    writeFileSync(figures, '')
    const isKept = run(isComplete ? [CRASH] : asked, { PAWL_SOAK_FIGURES: figures })
    const rows = sum(readFileSync(figures, 'utf8'))
    console.log(JSON.stringify(rows, null, 2))
    if (isKept) save(rows)
  }
  if (isComplete) run(listOthers(), {})
} finally {
  rmSync(directory, { recursive: true })
}
