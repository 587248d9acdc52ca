/**
 * The demo: a census of the `.js` files under node_modules, killed half way and resumed.
 *
 * Run it:  npm run demo      (about a minute on two cores)
 *
 * 1. `pawl run` measures every file: size, SHA-256, gzip-9, brotli-11, number of tokens.
 * 2. When half of them are recorded, the run is killed with SIGKILL: it cannot save, tidy up or say goodbye.
 * 3. `pawl resume` goes on, and its report has to show that only what was pending was dispatched.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { mkdtemp, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'

process.chdir(join(import.meta.dirname, '../..'))
const directory = await mkdtemp(join(tmpdir(), 'pawl-demo-'))
const store = ['--checkpoint', join(directory, 'runs')]
const output = join(directory, 'census.jsonl')
/** @type {Set<import('node:child_process').ChildProcess>} */
const children = new Set()
process.once('SIGINT', () => stop(130)).once('SIGTERM', () => stop(143))
console.log('This takes about a minute on two free cores.\n')
try {
  const task = ['examples/demo/census.mjs', '--input', 'node_modules/**/*.js', '--output', output]
  const { child, closed } = pawl('run', ...task, '--run-id', 'census', '--checkpoint-interval', '200ms', ...store, '--json')
  const total = await killHalfWay(child)
  await closed
  const recorded = (await look()).done
  console.log(`\nkilled with SIGKILL; ${recorded} of ${total} files are recorded\n`)

  const report = await ask('resume', 'census', ...store, '--json')
  const { items, restored, dispatched } = report.stats
  assert.equal(report.status, 'complete')
  assert.equal(items, total)
  assert.equal(restored + dispatched, items, 'what was restored was not dispatched again')
  assert.ok(restored >= recorded, 'nothing that was recorded at the kill was lost')
  assert.ok(restored > 0 && dispatched > 0, 'the kill came half way')
  console.log(`\n${restored} restored + ${dispatched} dispatched = ${items} files: only what was pending ran again\n`)
  await ask('verify', 'census', ...store, '--json')
  printCensus((await readFile(output, 'utf8')).trimEnd().split('\n'), items)
} finally {
  tidy()
}

/** Nobody waits for the demo any more, so nothing of it stays. */
function tidy() {
  for (const child of children) child.kill('SIGKILL')
  rmSync(directory, { recursive: true, force: true, maxRetries: 5 })
}

function stop(/** @type {number} */ exitCode) {
  tidy()
  process.exit(exitCode)
}

/** Starts `pawl`, shows how it was called and what it says on stderr. */
function pawl(/** @type {string[]} */ ...args) {
  console.log(`$ node dist/cli/main.js ${args.map((it) => (/[*\s]/.test(it) ? `'${it}'` : it)).join(' ')}`)
  return start(args)
}

function start(/** @type {string[]} */ args) {
  const child = spawn(process.execPath, ['dist/cli/main.js', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  children.add(child)
  child.once('close', () => children.delete(child))
  return { child, closed: once(child, 'close'), stdout: text(/** @type {import('node:stream').Readable} */ (child.stdout)) }
}

/** What `pawl … --json` answers. */
async function ask(/** @type {string[]} */ ...args) {
  return answer(pawl(...args), args[0])
}

async function answer(/** @type {ReturnType<typeof start>} */ { closed, stdout }, /** @type {string | undefined} */ command) {
  const [code] = await closed
  assert.equal(code, 0, `pawl ${command} ended with exit code ${code}`)
  return JSON.parse(await stdout)
}

/** The run as `pawl list --json` shows it, read by another process while it goes on. */
async function look() {
  const { runs } = await answer(start(['list', ...store, '--json']), 'list')
  return runs[0] ?? { done: 0 }
}

/** Kills the run once half of its items are recorded; resolves with their number. */
async function killHalfWay(/** @type {import('node:child_process').ChildProcess} */ child) {
  while (child.exitCode === null) {
    const { done, total } = await look()
    if (total && done >= total / 2) {
      child.kill('SIGKILL')
      return total
    }
    await pause(200)
  }
  throw new Error(`the run ended by itself with exit code ${child.exitCode}`)
}

/** The packages that weigh most, and what packing makes of them. */
function printCensus(/** @type {string[]} */ lines, /** @type {number} */ items) {
  const files = lines.map((line) => JSON.parse(line).value)
  assert.equal(files.length, items)
  /** @type {Map<string, { files: number, size: number, gzip: number, brotli: number, tokens: number }>} */
  const packages = new Map()
  for (const { path, size, gzip, brotli, tokens } of files) {
    for (const name of ['all', path.replace(/.*node_modules\/((@[^/]+\/)?[^/]+).*/, '$1')]) {
      const sum = packages.get(name) ?? { files: 0, size: 0, gzip: 0, brotli: 0, tokens: 0 }
      packages.set(name, {
        files: sum.files + 1,
        size: sum.size + size,
        gzip: sum.gzip + gzip,
        brotli: sum.brotli + brotli,
        tokens: sum.tokens + tokens,
      })
    }
  }
  const kB = (/** @type {number} */ bytes) => `${Math.round(bytes / 1000)} kB`
  const row = (/** @type {string[]} */ cells) =>
    console.log(cells.map((cell, at) => (at ? cell.padStart(11) : cell.padEnd(24))).join(''))
  row(['package', 'files', 'size', 'gzip', 'brotli', 'tokens'])
  for (const [name, sum] of [...packages].sort(([, a], [, b]) => b.size - a.size).slice(0, 9)) {
    row([name, `${sum.files}`, kB(sum.size), kB(sum.gzip), kB(sum.brotli), `${sum.tokens}`])
  }
  console.log(`\n${files.length - new Set(files.map(({ sha256 }) => sha256)).size} files are copies of others`)
}
