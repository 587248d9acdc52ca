import { describe, expect, test } from 'vitest'
import { type RunFile, toRunFile } from '../../src/checkpoint/format/run-file.ts'
import { fingerprintOf } from '../../src/checkpoint/identity/fingerprint.ts'
import { newReport } from '../../src/checkpoint/reading/file-report.ts'
import { readFrames } from '../../src/checkpoint/reading/read-file.ts'
import { STOOD_FOR } from '../../src/checkpoint/record/damage.ts'
import { inspectRun, readResultBatches, verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import type { Outcome } from '../../src/types.ts'
import { abandon, FORMS, failing, IDENTITY, killedAt, open, outcomes, rejection } from './fixture.ts'

const COUNT = 12
const identity = { ...IDENTITY, items: { kind: 'array' as const, count: COUNT } }
const WHOLE = { ok: true, damaged: [] }

/** A run of `COUNT` items, one of which failed, all on record. */
async function write(form: (typeof FORMS)[number], options: Parameters<typeof open>[1] = {}): Promise<Store> {
  const store = memoryStore()
  const session = await open(store, { ...form, identity, ...options })
  for (let at = 0; at < COUNT; at += 3) {
    session.begin({ indices: Uint32Array.of(at, at + 1, at + 2) })
    session.record(at === 3 ? outcomes([4, 5]) : outcomes([at, at + 1, at + 2]))
    if (at === 3) session.record(failing(rejection(3, new Error('three'))))
    await session.flush()
  }
  await session.close()
  return store
}

const filesOf = async (store: Store) =>
  (await store.list('run-1/')).map(({ key }) => key).filter((key) => /\/(seg|snap)\//.test(key))

async function flip(store: Store, key: string, at: number): Promise<void> {
  const bytes = Buffer.from((await store.get(key)) as Uint8Array)
  bytes.writeUInt8((bytes[at] as number) ^ 4, at)
  await store.put(key, bytes, { replace: true })
}

const sizeOf = async (store: Store, key: string) => ((await store.get(key)) as Uint8Array).length

/** Where, in a file that is not compressed, its first outcomes are. */
async function placeOfOutcomes(store: Store, key: string): Promise<number> {
  const file = toRunFile(key, await sizeOf(store, key)) as RunFile
  for await (const frames of readFrames(store, file, fingerprintOf(identity), true, newReport()))
    for (const { head, start } of frames) if (head.kind === 'outcomes') return start + 2
  throw new Error(`${key} has no outcomes`)
}

/** A session that runs whatever is not on record. */
async function makeUp(store: Store, options: Parameters<typeof open>[1]): Promise<void> {
  const session = await open(store, { identity, ...options })
  for (let index = 0; index < COUNT; index++) {
    if (session.restored.statusOf(index) !== undefined) continue
    session.record(index === 3 ? failing(rejection(3, new Error('three'))) : outcomes([index]))
  }
  await session.close()
}

async function expectAll(store: Store): Promise<void> {
  const all: Outcome[] = []
  for await (const batch of readResultBatches(store, 'run-1')) all.push(...batch)
  const expected = Array.from({ length: COUNT }, (_, index) =>
    index === 3 ? { index, status: 'rejected', reason: { message: 'three' } } : { index, value: { value: index } },
  )
  expect(all).toMatchObject(expected)
}

describe.each(FORMS)('a damaged run of $format, $compress', (form) => {
  test('is whole again after the session that made up for it, whichever byte it was', async () => {
    const size = (await (await write(form)).list('run-1/seg/'))[0]?.size as number
    let mended = 0
    for (let at = 0; at < size; at += 3) {
      const store = await write(form)
      const [key = ''] = await filesOf(store)
      await flip(store, key, Math.min(at, ((await store.get(key)) as Uint8Array).length - 1))
      const { ok } = await verifyRun(store, 'run-1')
      await makeUp(store, form)
      const { damaged } = await verifyRun(store, 'run-1')
      expect({ at, damaged }).toEqual({ at, damaged: [] })
      if (!ok && !(await filesOf(store)).includes(key)) mended++
      await expectAll(store)
    }
    expect(mended).toBeGreaterThan(size / 6)
  })

  test('stays as it is, byte for byte, while something is missing', async () => {
    const store = await write(form)
    const [key = ''] = await filesOf(store)
    // In gzip no frame tells what it held.
    await flip(store, key, Math.floor(((await store.get(key)) as Uint8Array).length / 2))
    const before = Buffer.from((await store.get(key)) as Uint8Array)
    await (await open(store, { ...form, identity })).close()
    expect(Buffer.from((await store.get(key)) as Uint8Array)).toEqual(before)
    const { ok, damaged } = await verifyRun(store, 'run-1')
    expect({ ok, settled: damaged.map(({ settled }) => settled) }).toEqual({ ok: false, settled: [undefined] })
  })

  test('is told to have lost nothing when it was made up for and only the damaged file is still there', async () => {
    const store = await write(form)
    const [key = ''] = await filesOf(store)
    await flip(store, key, Math.floor(((await store.get(key)) as Uint8Array).length / 2))
    const damaged = (await store.get(key)) as Uint8Array
    await makeUp(store, form)
    for (const snapshot of await filesOf(store)) if (snapshot.includes('/snap/')) await store.delete(snapshot)
    await makeUp(store, form)
    await store.put(key, damaged, { replace: true })
    const verdict = await verifyRun(store, 'run-1')
    expect(verdict).toMatchObject({ ok: false, damaged: [{ settled: true }] })
    await (await open(store, { ...form, identity })).close()
    expect(await verifyRun(store, 'run-1')).toEqual(WHOLE)
    await expectAll(store)
  })

  test('is mended too when it is a snapshot that nothing else is left of', async () => {
    const store = memoryStore()
    for (let at = 0; at < 16; at++) {
      const session = await open(store, { ...form, identity, keep: 0 })
      session.record(at === 3 ? failing(rejection(3, new Error('three'))) : outcomes([at < COUNT ? at : 0]))
      await session.flush()
      await session.close()
    }
    const [key = '', ...others] = (await filesOf(store)).filter((it) => it.includes('/snap/'))
    if (others.length > 0 || key === '') throw new Error('expected one snapshot')
    for (const segment of await filesOf(store)) if (segment.includes('/seg/')) await store.delete(segment)
    await flip(store, key, Math.floor(((await store.get(key)) as Uint8Array).length / 2))
    expect((await verifyRun(store, 'run-1')).ok).toBe(false)
    await makeUp(store, { ...form, keep: 0 })
    expect(await verifyRun(store, 'run-1')).toEqual(WHOLE)
    expect(await filesOf(store)).not.toContain(key)
    await expectAll(store)
  })

  test('loses nothing to a crash at any call of the mending', async () => {
    for (let k = 0; k < 12; k++) {
      const store = await write(form)
      const [key = ''] = await filesOf(store)
      await flip(store, key, 5)
      const process = killedAt(store, k)
      const session = await open(process.store, { ...form, identity })
      await Promise.race([session.close(), process.killed])
      await abandon(store, session).catch(() => {}) // It may have got as far as to delete its claim.
      await makeUp(store, form)
      await expectAll(store)
    }
  })
})

test('a damaged file stays while its session may be at work, though all it held is on record elsewhere', async () => {
  const [form] = FORMS
  const store = memoryStore()
  const live = await open(store, { identity, shard: '1/2' })
  for (const items of [[0, 1], [2]]) {
    live.record(outcomes(items))
    await live.flush()
  }
  const [key = ''] = await filesOf(store)
  await flip(store, key, 40)
  await makeUp(store, { ...form, shard: '2/2' })
  expect((await verifyRun(store, 'run-1')).damaged).toMatchObject([{ start: 28, settled: true }])
  // Of one that lost its claim nobody knows that it has ended: what it writes on is read, and a person may delete the file.
  for (const { key: claim } of await store.list('run-1/lease/')) await store.delete(claim)
  await makeUp(store, form)
  const file = key.slice('run-1/'.length)
  expect(await verifyRun(store, 'run-1')).toEqual({ ok: false, damaged: [{ file, problem: STOOD_FOR, settled: true }] })
  await store.delete(key)
  expect(await verifyRun(store, 'run-1')).toEqual(WHOLE)
})

test.each(FORMS)('a file of zeros from any byte on is whole, or gone, after two sessions: $format, $compress', async (form) => {
  const size = (await (await write(form)).list('run-1/seg/'))[0]?.size as number
  let told = 0
  for (let at = 0; at < size; at += 5) {
    const store = await write(form)
    const [key = ''] = await filesOf(store)
    await store.put(key, Buffer.from((await store.get(key)) as Uint8Array).fill(0, at), { replace: true })
    await makeUp(store, form)
    // What says that its session has ended was in it, and is now in another.
    const { damaged } = await verifyRun(store, 'run-1')
    for (const { problem, settled } of damaged)
      expect({ at, problem, settled }).toEqual({ at, problem: STOOD_FOR, settled: true })
    await makeUp(store, form)
    expect({ at, ...(await verifyRun(store, 'run-1')) }).toEqual({ at, ...WHOLE })
    if (damaged.length > 0) {
      told++
      expect(await filesOf(store)).not.toContain(key)
    }
    const session = await open(store, { ...form, identity })
    await session.close()
    expect(session.events).toEqual([])
    await expectAll(store)
  }
  // Zeros that begin elsewhere than within an outcome look like the end of a file that a death cut off.
  if (form.format === 'msgpack' && form.compress === 'none') expect(told).toBeGreaterThan(0)
})

describe('a damaged file of a session that seemed to have ended, its claim deleted', () => {
  /** Its session is at work, and others settle the rest of `count` items. */
  const setUp = async (count: number) => {
    const store = memoryStore()
    const options = { identity: { ...IDENTITY, items: { kind: 'array' as const, count } }, isLeaseIgnored: true }
    const live = await open(store, options)
    for (const items of [[0, 1], [2]]) {
      live.record(outcomes(items))
      await live.flush()
    }
    const [key = ''] = await filesOf(store)
    const bytes = (await store.get(key)) as Uint8Array
    for (let at = bytes.length - 1; (await verifyRun(store, 'run-1')).damaged[0]?.items === undefined; at--) {
      await store.put(key, bytes, { replace: true })
      await flip(store, key, at)
    }
    const [{ key: name = '' } = {}] = await store.list('run-1/lease/')
    const claim = (await store.get(name)) as Uint8Array
    await store.delete(name)
    const beat = () => store.put(name, claim, { replace: true })
    await makeUp(store, options)
    expect((await verifyRun(store, 'run-1')).damaged.map(({ problem }) => problem)).toEqual([STOOD_FOR])
    return { store, options, key, live, beat }
  }

  test('stays while it has one again', async () => {
    const { store, options, key, live, beat } = await setUp(COUNT)
    await beat()
    await makeUp(store, options)
    expect(await filesOf(store)).toContain(key)
    await live.close()
    await makeUp(store, options)
    expect(await filesOf(store)).not.toContain(key)
    expect(await verifyRun(store, 'run-1')).toEqual(WHOLE)
    await expectAll(store)
  })

  test('stays while items are not settled: it may be about to write them', async () => {
    const { store, options, key } = await setUp(COUNT + 1)
    await makeUp(store, options)
    expect(await filesOf(store)).toContain(key)
    const last = await open(store, options)
    last.record(outcomes([COUNT]))
    await last.close()
    expect(await filesOf(store)).not.toContain(key)
    expect(await verifyRun(store, 'run-1')).toEqual(WHOLE)
  })
})

test.each(FORMS)(
  'a mending that was cut short before it deleted the file is ended by the next session: $format, $compress',
  async (form) => {
    const store = await write(form)
    const [key = ''] = await filesOf(store)
    await flip(store, key, Math.floor(((await store.get(key)) as Uint8Array).length / 2))
    const refuseDelete = (name: string) => (name === key ? Promise.reject(new Error('no')) : store.delete(name))
    await makeUp({ ...store, delete: refuseDelete }, form)
    expect(await verifyRun(store, 'run-1')).toMatchObject({ ok: false, damaged: [{ problem: STOOD_FOR }] })
    await makeUp(store, form)
    expect(await verifyRun(store, 'run-1')).toEqual(WHOLE)
    expect(await filesOf(store)).not.toContain(key)
    await expectAll(store)
  },
)

/** What becomes of the bytes of a file. */
const DAMAGE: Record<string, (bytes: Buffer) => Uint8Array> = {
  'with a bit flipped': (bytes) => {
    const at = bytes.length >> 1
    bytes.writeUInt8((bytes[at] as number) ^ 4, at)
    return bytes
  },
  'without its last byte': (bytes) => bytes.subarray(0, -1),
  'without its second half': (bytes) => bytes.subarray(0, bytes.length >> 1),
  emptied: () => new Uint8Array(0),
  'zeroed from the middle on': (bytes) => bytes.fill(0, bytes.length >> 1),
  'of zeros': (bytes) => bytes.fill(0),
}

describe.each(FORMS)('a damaged file that a snapshot stands for, of $format, $compress', (form) => {
  test.each(Object.keys(DAMAGE))('is told of, and deleted by the next session: nothing is lost with it (%s)', async (way) => {
    const { store, covered } = await compacted(form)
    const [key = ''] = covered
    const bytes = Buffer.from((await store.get(key)) as Uint8Array)
    await store.put(key, DAMAGE[way]?.(bytes) as Uint8Array, { replace: true })
    const file = key.slice('run-1/'.length)
    const damage = { file, problem: STOOD_FOR, settled: true }
    expect(await verifyRun(store, 'run-1')).toEqual({ ok: false, damaged: [damage] })
    const session = await open(store, { ...form, identity })
    expect(session.restored).toMatchObject({ fulfilled: COUNT - 1, rejected: 1, damaged: 0 })
    await session.close()
    const told = `Files of run 'run-1' are damaged that a snapshot stands for: ${file}. Nothing is lost`
    expect(session.events).toEqual([{ event: 'warning', payload: { code: 'CHECKPOINT_DAMAGED', message: told } }])
    expect(await verifyRun(store, 'run-1')).toEqual(WHOLE)
    expect((await filesOf(store)).filter((it) => covered.includes(it))).toEqual(covered.slice(1))
    await expectAll(store)
  })

  test('stays, with what is whole of it, where the snapshot says nothing any more', async () => {
    const { store, covered, snapshot } = await compacted(form)
    const key = covered[5] as string
    await store.put(snapshot, new Uint8Array(500), { replace: true })
    await flip(store, key, form.compress === 'gzip' ? (await sizeOf(store, key)) >>> 1 : await placeOfOutcomes(store, key))
    const session = await open(store, { ...form, identity })
    await session.close()
    expect(await filesOf(store)).toContain(key)
    await makeUp(store, form)
    expect(await verifyRun(store, 'run-1')).toEqual(WHOLE)
    expect(await filesOf(store)).not.toContain(key)
    await expectAll(store)
  })
})

describe.each(FORMS)('a snapshot that lacks its end, of a run that goes on, of $format, $compress', (form) => {
  const long = { ...IDENTITY, items: { kind: 'array' as const, count: COUNT + 1 } }
  const cutSnapshot = async () => {
    const { store, covered, snapshot } = await compacted(form, long)
    const bytes = (await store.get(snapshot)) as Uint8Array
    await store.put(snapshot, bytes.subarray(0, bytes.length - 10), { replace: true })
    return { store, covered, file: snapshot.slice('run-1/'.length) }
  }
  const tellOf = async (store: Store) => {
    const { damaged } = await verifyRun(store, 'run-1')
    const session = await open(store, { ...form, identity: long })
    await session.close()
    const warnings = session.events.flatMap(({ event, payload }) => (event === 'warning' ? [payload] : []))
    return { damaged, warnings, fulfilled: session.restored.fulfilled }
  }
  const told = (file: string, loss: string) => ({
    code: 'CHECKPOINT_DAMAGED',
    message: `Files of run 'run-1' lack their end: ${file}. ${loss}`,
  })

  test('is told to cost nothing where the files it stood for are there', async () => {
    const { store, file } = await cutSnapshot()
    const { damaged, warnings, fulfilled } = await tellOf(store)
    expect(fulfilled).toBe(COUNT - 1)
    expect(damaged).toEqual([expect.objectContaining({ file, settled: true })])
    expect(warnings).toEqual([told(file, 'Nothing is lost')])
  })

  test.each(['deleted', 'emptied', 'of zeros'])('is told to cost what only it held where one of them is %s', async (way) => {
    const { store, covered, file } = await cutSnapshot()
    const [key = ''] = covered
    const bytes = Buffer.from((await store.get(key)) as Uint8Array)
    await store.delete(key)
    if (way !== 'deleted') await store.put(key, DAMAGE[way]?.(bytes) as Uint8Array)
    const { damaged, warnings } = await tellOf(store)
    expect(damaged.find((it) => it.file === file)).not.toHaveProperty('settled')
    expect(warnings).toContainEqual({
      code: 'CHECKPOINT_DAMAGED',
      message: expect.stringMatching(
        new RegExp(`^Files of run 'run-1' lack their end: .*${file}.*\\. What only they held \\(.*item.*\\) runs again$`),
      ),
    })
  })
})

/** A run whose first `COUNT` items are on record in a snapshot, and in the segments it stands for. */
async function compacted(
  form: (typeof FORMS)[number],
  given = identity,
): Promise<{ store: Store; snapshot: string; covered: string[] }> {
  const store = memoryStore()
  for (let at = 0; at < 16; at++) {
    const session = await open(store, { ...form, identity: given })
    session.record(at === 3 ? failing(rejection(3, new Error('three'))) : outcomes([at < COUNT ? at : 0]))
    await session.flush()
    await session.close()
  }
  const [snapshot = '', ...more] = (await filesOf(store)).filter((key) => key.includes('/snap/'))
  if (snapshot === '' || more.length > 0) throw new Error('expected one snapshot')
  const { files } = await inspectRun(store, 'run-1')
  return { store, snapshot, covered: files.filter(({ covered }) => covered).map(({ name }) => `run-1/${name}`) }
}

test('a damaged newline between two frames costs nothing', async () => {
  const [form] = FORMS.filter(({ format, compress }) => format === 'json' && compress === 'none')
  if (form === undefined) throw new Error('expected JSON among the forms')
  const whole = await write(form)
  const [name = ''] = await filesOf(whole)
  const bytes = Buffer.from((await whole.get(name)) as Uint8Array)
  const newlines = [...bytes.keys()].filter((at) => bytes[at] === 0x0a)
  expect(newlines.length).toBeGreaterThan(8)
  for (const at of newlines.slice(1, -1)) {
    const store = await write(form)
    const [key = ''] = await filesOf(store)
    const text = Buffer.from((await store.get(key)) as Uint8Array)
    const own = [...text.keys()].filter((place) => text[place] === 0x0a)[newlines.indexOf(at)] as number
    await flip(store, key, own)
    await expectAll(store)
    const session = await open(store, { ...form, identity })
    expect(session.restored.fulfilled + session.restored.rejected).toBe(COUNT)
    await session.close()
    await expectAll(store)
  }
})

test('a file that reads otherwise the second time stays, whichever byte it was', async () => {
  const size = (await (await write(FORMS[0])).list('run-1/seg/'))[0]?.size as number
  // Behind the start of the file, which is what is damaged.
  for (let at = 28; at < size; at += 3) {
    const store = await write(FORMS[0])
    const [key = ''] = await filesOf(store)
    await flip(store, key, 5)
    let reads = 0
    const flaky: Store = {
      ...store,
      get: async (name, range) => {
        const bytes = await store.get(name, range)
        // The third: once as the session opens, once as it looks what there is to mend.
        if (name !== key || bytes === undefined || ++reads !== 3) return bytes
        return bytes.map((byte, place) => (place === at ? byte ^ 1 : byte))
      },
    }
    await (await open(flaky, { identity })).close()
    expect({ at, reads, files: await filesOf(store) }).toEqual({ at, reads: 3, files: [key] })
    await expectAll(store)
  }
})
