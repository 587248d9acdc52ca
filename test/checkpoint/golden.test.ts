import { execFileSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { createEncoder, type Entry, encodeEntries, joinBytes } from '../../src/checkpoint/format/entries.ts'
import { type ItemsHead, seedOf } from '../../src/checkpoint/format/frame.ts'
import { layoutOf } from '../../src/checkpoint/format/run-file.ts'
import { loadIndex } from '../../src/checkpoint/record/load.ts'
import { restore } from '../../src/checkpoint/record/restored.ts'
import { oneByOne } from '../../src/checkpoint/stored/one-by-one.ts'
import { readInOrder } from '../../src/checkpoint/stored/read-in-order.ts'
import { memoryStore } from '../../src/store/memory.ts'
import { loadCodec } from '../../src/values/codec.ts'
import { FORMS, readAll } from './fixture.ts'

const FINGERPRINT = '0123456789abcdef'
const STEM = '0m3v0l0000-0'
const fixture = (name: string) => join(import.meta.dirname, '../fixtures', name)
const nameOf = (form: (typeof FORMS)[number]) => `checkpoint-v1.${form.format}.segment${form.compress === 'gzip' ? '.gz' : ''}`

/** A segment with a frame of every kind a session writes. */
async function segment({ format, compress }: (typeof FORMS)[number]): Promise<Buffer> {
  const codec = await loadCodec(format)
  const none = { body: [], items: 0, fresh: 0, bytes: 0 }
  const record = codec.encode([{ id: 0 }, { id: 1 }, 'two']).bytes
  const reason = codec.encode([{ name: 'TypeError', message: 'no', stack: 'TypeError: no' }, 'the item']).bytes
  const failed = {
    failure: 'error',
    attempts: 2,
    crashes: 1,
    firstFailedAt: 1_700_000_000_001,
    lastFailedAt: 1_700_000_000_002,
  } as const
  const entries: Entry[] = [
    { ...none, head: { kind: 'running', runs: [0, 3, 9, 1] } },
    {
      ...none,
      head: { kind: 'outcomes', runs: [0, 2, 9, 1], columns: [3, record.byteLength], attempts: [1, 1, 3] },
      body: [record],
    },
    { ...none, head: { kind: 'failure', index: 5, ...failed }, body: [reason] },
    { ...none, head: { kind: 'source', block: 0, count: 10, digest: 'd0' } },
    { ...none, head: { kind: 'total', count: 10 } },
    { ...none, head: { kind: 'died', writers: ['earlier'] } },
    { ...none, head: { kind: 'close', at: 1_700_000_000_003 } },
  ]
  const encoder = createEncoder(format, compress, FINGERPRINT, () => 1_700_000_000_000)
  return Buffer.from(await encodeEntries(encoder, STEM, entries, true, true))
}

describe.each(FORMS)('a file of the first release, $format, $compress', (form) => {
  test('is read as ever', async () => {
    const store = memoryStore()
    const bytes = await readFile(fixture(nameOf(form)))
    await store.put(`run/seg/${STEM}.${form.format}${form.compress === 'gzip' ? '.gz' : ''}`, bytes)
    const index = await loadIndex(store, 'run', FINGERPRINT, { isKeyed: false, isChecked: true, count: 10 })
    expect(index).toMatchObject({
      damaged: 0,
      total: 10,
      sessions: [{ writer: '0m3v0l0000', isClosed: true, lastSeenAt: 1_700_000_000_003 }],
    })
    expect(index.sources.get(0)).toEqual({ count: 10, digest: 'd0' })
    expect(index.files[0]?.report).toMatchObject({
      frames: 7,
      damage: [],
      torn: 0,
      header: { version: 1, createdAt: 1_700_000_000_000 },
    })
    const { values, rejected } = await readAll(await restore(store, 'run', FINGERPRINT, index, new Set(), 0))
    expect(Object.fromEntries(values)).toEqual({ 0: { id: 0 }, 1: { id: 1 }, 9: 'two' })
    expect(rejected).toMatchObject([{ index: 5, attempts: 2, crashes: 1, reason: new TypeError('no'), item: 'the item' }])
  })
})

/** What an older version wrote: in msgpack the header says another number. */
function asOfVersion(version: number, segment: Buffer): Buffer {
  const layout = layoutOf('msgpack')
  const found = layout.readHeader(segment)
  if (found === undefined) return segment
  return Buffer.concat([layout.writeHeader({ ...found.header, version }), segment.subarray(found.end)])
}

/** A segment of a keyed run whose items moved. */
async function keyedSegment({ format, compress }: (typeof FORMS)[number]): Promise<Buffer> {
  const none = { body: [], items: 0, fresh: 0, bytes: 0 }
  const record = (await loadCodec(format)).encode(['ä', 'b', 'c']).bytes
  const lists: ItemsHead[] = [
    { kind: 'items', list: 'l1', from: 0, count: 3, keys: ['c', 'ä', 'b'] },
    { kind: 'items', list: 'l2', base: 'l1', from: 2, count: 3, keys: ['new'] },
  ]
  const entries: Entry[] = [
    ...lists.map((head) => ({ ...none, head })),
    {
      ...none,
      head: { kind: 'outcomes', runs: [0, 3], columns: [3, record.byteLength], keys: ['ä', 'b', 'c'] },
      body: [record],
    },
    { ...none, head: { kind: 'close', at: 1_700_000_000_003 } },
  ]
  const encoder = createEncoder(format, compress, FINGERPRINT, () => 1_700_000_000_000)
  return Buffer.from(await encodeEntries(encoder, STEM, entries, true, true))
}

describe.each(FORMS.filter((form) => form.compress === 'none'))('a file with a list of items, $format', (form) => {
  const name = nameOf(form).replace('v1', 'v2')

  test('is written byte for byte as ever', async () => {
    expect(asOfVersion(2, await keyedSegment(form)).equals(await readFile(fixture(name)))).toBe(true)
  })

  test('is read as ever', async () => {
    const store = memoryStore()
    await store.put(`run/seg/${STEM}.${form.format}`, await readFile(fixture(name)))
    const index = await loadIndex(store, 'run', FINGERPRINT, { isKeyed: true, isChecked: true })
    expect(index.list).toMatchObject({ id: 'l2', keys: ['c', 'ä', 'new'] })
    expect(index.files[0]?.report).toMatchObject({ frames: 4, damage: [], torn: 0, header: { version: 2 } })
    const read: unknown[] = []
    for await (const { index: place, key } of oneByOne(readInOrder(store, 'run', FINGERPRINT, index))) read.push([place, key])
    expect(read).toEqual([
      [0, 'c'],
      [1, 'ä'],
    ])
  })
})

/** A segment of values that are taken apart. */
async function tablesSegment(): Promise<Buffer> {
  const record = (await loadCodec('msgpack')).encode(TABLES).bytes
  const head = { kind: 'outcomes', runs: [0, TABLES.length], columns: [TABLES.length, record.byteLength] } as const
  const entries: Entry[] = [{ head, body: [record], items: 0, fresh: 0, bytes: 0 }]
  const encoder = createEncoder('msgpack', 'none', FINGERPRINT, () => 1_700_000_000_000)
  return Buffer.from(await encodeEntries(encoder, STEM, entries, true, true))
}

const TABLES = [1, 2, 3].map((id) => ({
  id,
  name: `größe ${id}`,
  of: { score: id / 2, tags: ['a', `b${id}`] },
  ok: id > 1 || null,
}))

describe('a file with values taken apart', () => {
  const name = 'checkpoint-v3.msgpack.segment'

  test('is written byte for byte as ever', async () => {
    expect((await tablesSegment()).equals(await readFile(fixture(name)))).toBe(true)
  })

  test('is read as ever', async () => {
    const store = memoryStore()
    await store.put(`run/seg/${STEM}.msgpack`, await readFile(fixture(name)))
    const index = await loadIndex(store, 'run', FINGERPRINT, { isKeyed: false, isChecked: true })
    expect(index.files[0]?.report).toMatchObject({ frames: 1, damage: [], torn: 0, header: { version: 3 } })
    const { values } = await readAll(await restore(store, 'run', FINGERPRINT, index, new Set(), 0))
    expect([...values.values()]).toEqual(TABLES)
  })
})

// Compressed ones are not: what deflate makes of the same bytes differs between versions of zlib.
test.each(FORMS.filter((form) => form.compress === 'none'))(
  'a segment of $format is written byte for byte as by the first release',
  async (form) => {
    expect(asOfVersion(1, await segment(form)).equals(await readFile(fixture(nameOf(form))))).toBe(true)
  },
)

test('the binary header and frame are as format.ts tells, byte by byte', () => {
  const layout = layoutOf('msgpack')
  const header = layout.writeHeader({ version: 1, kind: 'segment', fingerprint: FINGERPRINT, createdAt: 0 })
  expect(header.toString('hex', 0, 24)).toBe(`5041574c01000000${FINGERPRINT}0000000000000000`)
  const frame = joinBytes(layout.writeFrame({ kind: 'running', runs: [5, 2] }, [], seedOf(STEM, FINGERPRINT)))
  expect(frame.toString('hex', 0, 12)).toBe('5046' + '02' + '00' + '03000000' + '00000000')
  expect(frame.toString('hex', 24)).toBe('01' + '0a' + '02')
})

test('JSON is read with grep and, compressed, with zcat', async () => {
  const unpack = 'zcat'
  const plain = execFileSync('grep', ['-c', '"failed"', fixture('checkpoint-v1.json.segment')]).toString()
  expect(plain.trim()).toBe('1')
  const lines = execFileSync(unpack, [fixture('checkpoint-v1.json.segment.gz')])
    .toString()
    .trim()
    .split('\n')
  expect(lines.map((line) => Object.keys(JSON.parse(line))[1])).toEqual([
    'pawl',
    'running',
    'failed',
    'source',
    'total',
    'died',
    'index',
    'close',
  ])
})
