import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { packBlock, readBlockHeader, storeBlock, unpackBlock } from '../../src/checkpoint/format/blocks.ts'
import { joinBytes } from '../../src/checkpoint/format/entries.ts'
import { reviveError } from '../../src/checkpoint/format/error-record.ts'
import { fromRuns, type Head, seedOf, toRuns } from '../../src/checkpoint/format/frame.ts'
import { IndexSet } from '../../src/checkpoint/format/index-set.ts'
import { layoutOf } from '../../src/checkpoint/format/run-file.ts'
import { createScanner, type Layout, type Visitor } from '../../src/checkpoint/format/scan.ts'
import { loadIndex } from '../../src/checkpoint/record/load.ts'
import { listRuns, verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { memoryStore } from '../../src/store/memory.ts'

const FINGERPRINT = '0123456789abcdef'
const STEM = '0zzzzzzzzabcdef012345-0'

async function load(format: 'json' | 'msgpack', heads: readonly (readonly [Head, (Buffer | undefined)?])[], folder = 'seg') {
  const layout = layoutOf(format)
  const seed = seedOf(STEM, FINGERPRINT)
  const kind = folder === 'seg' ? 'segment' : 'snapshot'
  const frames = heads.map(([head, body]) => joinBytes(layout.writeFrame(head, body ? [body] : [], seed)))
  const store = memoryStore()
  await store.put(
    `run/${folder}/${STEM}.${format}`,
    joinBytes([layout.writeHeader({ version: 1, kind, fingerprint: FINGERPRINT, createdAt: 0 }), ...frames]),
  )
  return loadIndex(store, 'run', FINGERPRINT, { isKeyed: false, isChecked: true, count: 1000 })
}

describe.each(['json', 'msgpack'] as const)('frames in %s whose checksums hold, written by somebody else', (format) => {
  const body = Buffer.from('[1]')
  const none: [string, Head, Buffer?][] = [
    ['more items than the body has bytes', { kind: 'outcomes', runs: [0, 900], columns: [900, 3] }, body],
    ['an index beyond the items', { kind: 'outcomes', runs: [1000, 1], columns: [1, 3] }, body],
    ['an index that is none', { kind: 'outcomes', runs: [2 ** 32, 1], columns: [1, 3] }, body],
    ['a run of nothing', { kind: 'outcomes', runs: [5, 0], columns: [0, 3] }, body],
    [
      'a failure of no item',
      { kind: 'failure', index: 1000, failure: 'error', attempts: 1, crashes: 0, firstFailedAt: 0, lastFailedAt: 0 },
      body,
    ],
    [
      'a failure of no kind',
      { kind: 'failure', index: 1, failure: '__proto__' as never, attempts: 1, crashes: 0, firstFailedAt: 0, lastFailedAt: 0 },
      body,
    ],
    [
      'a failure with odd counts',
      { kind: 'failure', index: 1, failure: 'error', attempts: -1, crashes: 0, firstFailedAt: 0, lastFailedAt: 0 },
      body,
    ],
    ['too many items at once', { kind: 'running', runs: [0, 2_000_000] }],
  ]
  test.each(none)('%s: settle nothing', async (_, head, given) => {
    const index = await load(format, [[head, given]])
    expect(index.fulfilled.size + index.failures.size).toBe(0)
    expect(index.sessions[0]?.running.indices.size ?? 0).toBe(0)
  })

  test('names that lead elsewhere are only names', async () => {
    const files = [
      { name: '../../etc/passwd', size: 1 },
      { name: '__proto__', size: 2 },
    ]
    const index = await load(
      format,
      [[{ kind: 'covers', files }], [{ kind: 'origin', stem: '../x' }], [{ kind: 'close', at: 0 }]],
      'snap',
    )
    expect(index.fulfilled.size).toBe(0)
    expect(({} as { size?: number }).size).toBeUndefined()
  })
})

describe('blocks', () => {
  test('are gzip, hold what was put in, and refuse a bomb by its header', async () => {
    const raw = Buffer.alloc(1000, 'a')
    for (const block of [await packBlock(raw, 7), storeBlock(raw, 7)]) {
      const header = readBlockHeader(block, 0, 7)
      expect(header && (await unpackBlock(block, header))).toEqual(raw)
      expect(readBlockHeader(block, 0, 8)).toBeUndefined()
    }
    const large = await packBlock(Buffer.alloc(2 ** 24 + 1), 7)
    expect(large.length).toBeGreaterThan(2 ** 24)
    expect(gzipSync(Buffer.alloc(2 ** 24 + 1)).length).toBeLessThan(2 ** 15)
  })

  test('that hold more than they say are damaged', async () => {
    const block = await packBlock(Buffer.alloc(100_000), 7)
    expect(await unpackBlock(block, { bytes: block.length, rawBytes: 10 })).toBeUndefined()
    expect(await unpackBlock(block, { bytes: block.length, rawBytes: 2 ** 20 })).toBeUndefined()
  })
})

test('a damaged line of values that begin like frames is not read once for each of them', async () => {
  const layout = layoutOf('json')
  const seed = seedOf(STEM, FINGERPRINT)
  const like = { crc: '0123456789abcdef', index: [[0, 9]], values: [1] }
  const line = (index: number, values: unknown[]) => {
    const body = Buffer.from(JSON.stringify([values]))
    return joinBytes(layout.writeFrame({ kind: 'outcomes', runs: [index, 1], columns: [1, body.length] }, [body], seed))
  }
  const damaged = line(0, Array(10_000).fill(like))
  damaged[10] = 0x7a
  const bytes = joinBytes([damaged, line(1, [like])])
  let bytesRead = 0
  const found: number[] = []
  const counting: Layout = {
    ...layout,
    readFrame: (all, at, ...rest) => {
      if (all[at] === damaged[0]) bytesRead += damaged.length - at
      return layout.readFrame(all, at, ...rest)
    },
  }
  const damage: number[][] = []
  const visitor: Visitor = {
    frame: ({ head }) => void found.push(...(head.kind === 'outcomes' ? head.runs : [])),
    damage: (start, end) => void damage.push([start, end]),
    torn: () => {},
  }
  createScanner(counting, { own: seed, origin: undefined }, bytes.length, true, visitor).push(bytes, 0, true)
  expect(found).toEqual([1, 1])
  expect(damage).toEqual([[0, damaged.length]])
  expect(bytesRead).toBeLessThan(100 * bytes.length)
})

test.each([
  ['errors', (error: object) => ({ errors: [error, error] })],
  ['fields', (error: object) => ({ inner: { first: error, second: error } })],
])('an error that is twice among the %s of the next, and so on, is not read as many times as that makes', (_, hold) => {
  let record: object = { name: 'Error', message: 'deepest' }
  for (let level = 0; level < 30; level++) record = { name: 'Error', message: `${level}`, ...hold(record) }
  const error = reviveError(record) as Error & { errors?: Error[]; first?: Error }
  expect(error.message).toBe('29')
  expect((error.errors?.[0] ?? error.first)?.message).toBe('28')
})

test('a directory of odd things is listed without a crash', async () => {
  const store = memoryStore()
  for (const key of [
    `x/run/${FINGERPRINT}.json`,
    `x/seg/${STEM}.json`,
    `x/seg/${STEM}.msgpack.gz`,
    `x/snap/${STEM}.json`,
    'x/lease/0zzzzzzzzabcdef012345',
    `y/seg/${STEM}.json`,
    'z/other/file',
    'w/run/nope.txt',
    'v/seg/nothing',
    'plain',
  ]) {
    await store.put(key, Buffer.from('\u001b[31m{"crc":"'))
  }
  expect((await listRuns(store)).map(({ runId, done, live }) => [runId, done, live])).toEqual([
    ['x', 0, false],
    ['y', 0, false],
  ])
  const { damaged } = await verifyRun(store, 'x')
  expect(new Set(damaged.map(({ file }) => file.slice(0, file.indexOf('/'))))).toEqual(new Set(['run', 'seg', 'snap']))
})

describe('IndexSet', () => {
  const span = fc.tuple(
    fc.oneof(fc.nat(200_000), fc.nat(2 ** 32 - 300_000)),
    fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 140_000 })),
  )

  test('is a set, for any ranges added in any order', () => {
    fc.assert(
      fc.property(fc.array(span, { maxLength: 6 }), (spans) => {
        const set = new IndexSet()
        const model = new Set<number>()
        for (const [from, count] of spans) {
          const before = model.size
          for (let index = from; index < from + count; index++) model.add(index)
          expect(set.addRange(from, count)).toBe(model.size - before)
        }
        expect(set.size).toBe(model.size)
        for (const [from, count] of spans) {
          for (const index of [from - 1, from, from + count - 1, from + count])
            if (index >= 0) expect(set.has(index)).toBe(model.has(index))
        }
        const listed: number[] = []
        set.forEachRange((from, count) => listed.push(from, count))
        expect(listed).toEqual(toRuns([...model].sort((a, b) => a - b)))
      }),
      { numRuns: 60 },
    )
  })

  test('without() leaves what the other has not', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(3000)), fc.array(fc.nat(3000)), (a, b) => {
        const [one, two] = [new IndexSet(), new IndexSet()]
        for (const index of a) one.add(index)
        for (const index of b) two.add(index)
        const rest = new Set(a)
        for (const index of b) rest.delete(index)
        expect(one.without(two).size).toBe(rest.size)
        for (const index of rest) expect(one.without(two).has(index)).toBe(true)
      }),
      { numRuns: 50 },
    )
  })
})

test('toRuns() and fromRuns() are each other’s inverse, for any order', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(50)), (indices) => {
      expect([...fromRuns(toRuns(indices))]).toEqual(indices)
    }),
  )
})
