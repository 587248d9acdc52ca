/**
 * Puts faults into a copy of the sources, one at a time, and shows which histories of the simulation see each.
 *
 *     node test/simulation/mutations.mjs [part of a fault's name]
 *
 * Prints the table of docs/faults-caught.md. Exits with 1 when a fault is not seen, or its place is not found any more.
 */
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dirname, '../..')

/** Each replaces `search`, which stands once in `file`, by `replace`. */
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
    search: "if (options.durability === 'fsync') await syncFound(store, index)",
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
    search: 'hasLapsed ||= isOverdue()',
    replace: '',
  },
  {
    name: 'a segment that was left is deleted before its contents are saved again',
    file: 'src/checkpoint/segments.ts',
    search: 'if (!isAcknowledged) abandoned.push(key)',
    replace: 'if (!isAcknowledged) await store.delete(key).catch(() => {})',
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
    file: 'src/run.ts',
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
    search: 'if (piece.settled < cursor) innocents.push(cutPiece(piece, piece.settled, cursor))',
    replace: 'if (0 < cursor) innocents.push(cutPiece(piece, 0, cursor))',
  },
  {
    name: 'an iterator that was let go counts as ended',
    file: 'src/items.ts',
    search: 'if (!result || isClosed) break',
    replace: 'if (!result) break',
  },
]

const chosen = FAULTS.filter(({ name }) => name.includes(process.argv[2] ?? ''))
const copy = mkdtempSync(join(tmpdir(), 'pawl-mutations-'))
let isMissed = false
try {
  for (const part of ['src', 'test/simulation', 'package.json', 'vitest.config.ts'])
    cpSync(join(root, part), join(copy, part), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  console.log('| fault | where | seen first by | what it saw |\n| --- | --- | --- | --- |')
  for (const fault of chosen) console.log(`| ${fault.name} | \`${fault.file}\` | ${tryOut(fault)} |`)
} finally {
  rmSync(copy, { recursive: true, force: true })
}
process.exitCode = isMissed ? 1 : 0

/**
 * The two last cells of the fault's row.
 *
 * @param {typeof FAULTS[number]} fault
 */
function tryOut({ file, search, replace }) {
  const path = join(copy, file)
  const text = readFileSync(path, 'utf8')
  if (text.split(search).length !== 2) {
    isMissed = true
    return 'its place is not there any more | change mutations.mjs'
  }
  writeFileSync(
    path,
    text.replace(search, () => replace),
  )
  try {
    // Colours would be part of what is looked for.
    const env = { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0', PAWL_SEED: undefined }
    const run = spawnSync(process.execPath, [join(copy, 'node_modules/vitest/vitest.mjs'), 'run', 'test/simulation'], {
      cwd: copy,
      env,
      encoding: 'utf8',
    })
    const seen = [...`${run.stdout}${run.stderr}`.matchAll(/"seed (\d+): ([^\n]*)/g)].map(([, seed, what = '']) => ({
      seed: Number(seed),
      what,
    }))
    const [first] = seen.sort((a, b) => a.seed - b.seed)
    if (first)
      return `seed ${first.seed} | ${first.what
        .replace(/[",\\]+$/, '')
        .replaceAll('|', '/')
        .slice(0, 160)}`
    isMissed = true
    return `nobody | exit code ${run.status}`
  } finally {
    writeFileSync(path, text)
  }
}
