/**
 * Puts faults into a copy of the sources, one at a time, and shows which test sees each.
 *
 *     node test/simulation/mutations.mjs [part of a fault's name]
 *
 * Prints the table of CONTRIBUTING.md. Exits with 1 when a fault is not seen, or its place is not found any more, and at once
 * when a test that is to see one fails without it.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FAULTS } from './deliberate-faults.mjs'

const root = join(import.meta.dirname, '../..')

const SIMULATION = ['test/simulation/odd-seeds.test.ts', 'test/simulation/even-seeds.test.ts']

const chosen = FAULTS.filter(({ name }) => name.includes(process.argv[2] ?? ''))
const copy = mkdtempSync(join(tmpdir(), 'pawl-mutations-'))
let isMissed = false
try {
  for (const part of ['src', 'test', 'scripts', 'package.json', 'vitest.config.ts', 'tsconfig.json', 'tsconfig.build.json'])
    cpSync(join(root, part), join(copy, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  expectSound()
  console.log('| fault | where | caught by |\n| --- | --- | --- |')
  for (const fault of chosen) console.log(`| ${fault.name} | \`${fault.file}\` | ${tryOut(fault)} |`)
} finally {
  rmSync(copy, { recursive: true, force: true })
}
process.exitCode = isMissed ? 1 : 0

/** Of the simulation that is seen whenever the tests run. */
function expectSound() {
  const tests = new Set(chosen.flatMap(({ tests: given = [] }) => given).filter((it) => !SIMULATION.includes(it)))
  if (tests.size === 0) return
  const { status, stdout } = build() ? call('vitest/vitest.mjs', ['run', ...tests]) : { status: 1, stdout: 'it does not build' }
  if (status !== 0) throw new Error(`The tests fail without any fault: ${stdout}`)
}

/**
 * Who catches the fault, for the last cell of its row.
 *
 * @param {typeof FAULTS[number]} fault
 */
function tryOut({ file, search, replace, tests = SIMULATION }) {
  const path = join(copy, file)
  const text = readFileSync(path, 'utf8')
  if (text.split(search).length !== 2) return miss('its place is not there any more: change deliberate-faults.mjs')
  writeFileSync(
    path,
    text.replace(search, () => replace),
  )
  try {
    const isBuilt = tests.every((it) => SIMULATION.includes(it)) || build()
    if (!isBuilt) return miss('with it, the sources do not compile')
    for (const test of tests) {
      const caught = run(test)
      if (caught) return caught
    }
    return miss('**nobody**')
  } finally {
    writeFileSync(path, text)
  }
}

/**
 * What `test` finds, if anything.
 *
 * @param {string} test
 */
function run(test) {
  const { status, stdout, stderr } = call('vitest/vitest.mjs', ['run', '--bail=1', test])
  const output = `${stdout}${stderr}`
  const [, seed, what = ''] = /"seed (\d+): ([^\n]*)/.exec(output) ?? []
  if (seed !== undefined) return `simulation, seed ${seed}: ${inCell(what.replace(/[",\\]+$/, ''))}`
  const [, name] = /FAIL\s+(?:\S+) > ([^\n]*)/.exec(output) ?? []
  return status === 0 || name === undefined ? undefined : `\`${test}\`: ${inCell(name)}`
}

/** Tests that start processes do so from dist/ and build/. */
function build() {
  if (call('typescript/bin/tsc', ['-p', 'tsconfig.build.json']).status !== 0) return false
  return spawnSync(process.execPath, [join(copy, 'scripts/bundle.mjs')], { cwd: copy }).status === 0
}

/**
 * @param {string} program below node_modules
 * @param {string[]} args
 */
function call(program, args) {
  // Colours would be part of what is looked for.
  const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', PAWL_SEED: undefined, PAWL_MAX_TOLD: '1' }
  return spawnSync(process.execPath, [join(copy, 'node_modules', program), ...args], { cwd: copy, env, encoding: 'utf8' })
}

/** @param {string} text */
function inCell(text) {
  return text.replaceAll('|', '/').slice(0, 160)
}

/** @param {string} text */
function miss(text) {
  isMissed = true
  return text
}
