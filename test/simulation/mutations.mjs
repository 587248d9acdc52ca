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

const root = join(import.meta.dirname, '../..')

const SIMULATION = ['test/simulation/odd-seeds.test.ts', 'test/simulation/even-seeds.test.ts']

/**
 * Each replaces `search`, which stands once in `file`, by `replace`. It is looked for by the simulation, or by `tests`.
 *
 * @type {{ name: string, file: string, search: string, replace: string, tests?: string[] }[]}
 */
const FAULTS = [
  {
    name: 'acknowledged before it is synced',
    file: 'src/checkpoint/segments.ts',
    search: "if (isFlush && options.durability === 'fsync') await opened.log.sync()",
    replace: '',
  },
  {
    name: 'a write that failed counts as done',
    file: 'src/checkpoint/segments.ts',
    search: 'await opened.log.write(bytes)',
    replace: 'await opened.log.write(bytes).catch(() => {})',
  },
  {
    name: 'what a killed session wrote is not synced before it counts',
    file: 'src/checkpoint/open.ts',
    search: "if (options.durability === 'fsync') await syncFound(store, index, lease)",
    replace: '',
  },
  {
    name: 'the load lists snapshots first, segments after',
    file: 'src/checkpoint/load.ts',
    search: "for (const folder of ['seg', 'snap'])",
    replace: "for (const folder of ['snap', 'seg'])",
  },
  {
    name: 'a snapshot is not durable before what it stands for is deleted',
    file: 'src/checkpoint/compaction.ts',
    search: 'await store.put(key, bytes, { durable: isDurable })',
    replace: 'await store.put(key, bytes, { durable: false })',
  },
  {
    name: 'what a snapshot stands for is deleted first',
    file: 'src/checkpoint/compaction.ts',
    search: 'const written = await putSnapshot(',
    replace: 'for (const { key } of covers) await store.delete(key)\n    const written = await putSnapshot(',
  },
  {
    name: "a frame's checksums are not compared (msgpack)",
    file: 'src/checkpoint/format.ts',
    search: 'const isWhole = !isChecked || bytes.readUInt32LE(at + 16) === crc32(bytes.subarray(bodyStart, bodyEnd), seed)',
    replace: 'const isWhole = true',
  },
  {
    name: "a frame's checksums are not compared (JSON)",
    file: 'src/checkpoint/format-json.ts',
    search: 'const isWhole = !hasBody || !isChecked || readHex(line, 16) === crc32(line.subarray(bodyStart, bodyEnd), seed)',
    replace: 'const isWhole = true',
  },
  {
    name: 'the lease is not checked',
    file: 'src/checkpoint/open.ts',
    search: 'const { isLeaseIgnored: isIgnored, place, shard } = options',
    replace: 'const { place, shard } = options\n  const isIgnored = true',
  },
  {
    name: 'a session that was stopped writes on where it was',
    file: 'src/checkpoint/segments.ts',
    search: 'if (options.lease.isStale()) {',
    replace: 'if (options.lease.isStale() && Date.now() < 0) {',
  },
  {
    name: 'a beat hides from the log that its process was stopped',
    file: 'src/checkpoint/lease.ts',
    search: 'hasLapsed ||= own.isOverdue()',
    replace: '',
    tests: ['test/checkpoint/lease.test.ts'],
  },
  {
    name: 'a segment that was left is deleted before its contents are saved again',
    file: 'src/checkpoint/segments.ts',
    search: 'if (acknowledged === 0) abandoned.push(key)',
    replace: 'if (acknowledged === 0) await store.delete(key).catch(() => {})',
    tests: ['test/checkpoint/faults.test.ts'],
  },
  {
    name: 'a retry repeats what succeeded',
    file: 'src/stages/retry.ts',
    search: 'left = chunkOf(again, chunk.keys !== undefined)',
    replace: 'left = chunk',
  },
  {
    name: 'a success and a failure of an item both count',
    file: 'src/checkpoint/load.ts',
    search: 'for (const [id, { index, key }] of failures) if (fulfilled.has(index, key)) failures.delete(id)',
    replace: '',
  },
  {
    name: 'a place is not given back when a chunk has settled',
    file: 'src/run/loop.ts',
    search: '.finally(() => {\n        places.give()',
    replace: '.finally(() => {',
  },
  {
    name: 'a breaker that closes wakes nobody',
    file: 'src/stages/breaker.ts',
    search: 'this.#context.fail(patienceEnded(this.#options, this.#lastReason))\n    }\n    this.#hold.wake()',
    replace: 'this.#context.fail(patienceEnded(this.#options, this.#lastReason))\n    }',
  },
  {
    name: 'results of a lost worker are settled, and its items run again',
    file: 'src/engine/blame.ts',
    search: 'else lost(piece, piece.settled, isInnocent ? end : place)',
    replace: 'else lost(piece, 0, isInnocent ? end : place)',
  },
  {
    name: 'an iterator that was let go counts as ended',
    file: 'src/items.ts',
    search: 'if (!result || isClosed) break',
    replace: 'if (!result) break',
  },
  {
    name: 'of two machines that begin a run at once each waits in silence',
    file: 'src/checkpoint/lease.ts',
    search: 'await clock.sleep(LOOK_MS)\n    await own.beat(false)',
    replace: 'await clock.sleep(LOOK_MS)',
    tests: ['test/checkpoint/lease.test.ts'],
  },
  {
    name: 'shards of different counts let one another be',
    file: 'src/checkpoint/claim.ts',
    search: 'return gap === 0 || Number.isNaN(gap)',
    replace: 'return shard === other',
    tests: ['test/checkpoint/lease.test.ts'],
  },
  {
    name: 'the names of new files are not synced',
    file: 'src/store/folder.ts',
    search: 'await Promise.all(folders.map(syncFolder))',
    replace: '',
    tests: ['test/crash/power-cut.test.ts'],
  },
  {
    name: 'acknowledged before it is synced, on a real disk',
    file: 'src/checkpoint/segments.ts',
    search: "if (isFlush && options.durability === 'fsync') await opened.log.sync()",
    replace: '',
    tests: ['test/crash/power-cut.test.ts'],
  },
  {
    name: 'a session that gave its store up counts as killed',
    file: 'src/checkpoint/ends.ts',
    search: 'writers: ended, hasEnded: true }',
    replace: 'writers: ended }',
    tests: ['test/resume/suspects.test.ts'],
  },
  {
    name: 'segments of a session that may be at work are merged',
    file: 'src/checkpoint/compaction.ts',
    search: '!options.live.has(writer) && (ended.has(writer) || options.dead.has(writer))',
    replace: '!options.live.has(writer)',
    tests: ['test/checkpoint/compaction.test.ts'],
  },
  {
    name: 'where items with keys are now is not told of',
    file: 'src/checkpoint/open.ts',
    search: 'if (heads.length === 0) return\n',
    replace: 'return\n',
  },
]

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
  if (text.split(search).length !== 2) return miss('its place is not there any more: change mutations.mjs')
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
  const { status, stdout, stderr } = call('vitest/vitest.mjs', ['run', test])
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
