import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { jsonLayout } from '../../src/checkpoint/format/format-json.ts'
import { type RunFile, toRunFile } from '../../src/checkpoint/format/run-file.ts'
import { fingerprintOf } from '../../src/checkpoint/identity/fingerprint.ts'
import { newReport } from '../../src/checkpoint/reading/file-report.ts'
import { readFrames } from '../../src/checkpoint/reading/read-file.ts'
import { loadIndex } from '../../src/checkpoint/record/load.ts'
import { restore } from '../../src/checkpoint/record/restored.ts'
import { inspectRun, verifyRun } from '../../src/checkpoint/stored/runs.ts'
import { PawlError } from '../../src/errors.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import { FORMS, failing, IDENTITY, open, outcomes, readAll, rejection } from './fixture.ts'

const identity = { ...IDENTITY, items: { kind: 'array' as const, count: 1000 } }
const fingerprint = fingerprintOf(identity)

/** The bytes a session wrote, and which items stand in which of them. */
interface Written {
  readonly key: string
  readonly bytes: Buffer
  readonly stretches: readonly { readonly start: number; readonly end: number; readonly items: readonly number[] }[]
}

const valueOf = (index: number) => ({ id: index, text: `PF{"crc":"${index}`, nested: [index, null] })

/** One session of a few small flushes, of successes, a failure, and items that began. */
async function write(form: (typeof FORMS)[number], from: number, given = identity): Promise<Written> {
  const store = memoryStore()
  const session = await open(store, { ...form, identity: given })
  for (let at = from; at < from + 12; at += 3) {
    session.begin({ indices: Uint32Array.of(at, at + 1, at + 2) })
    session.record(outcomes([at, at + 1, at + 2], valueOf))
    if (at === from + 6) session.record(failing(rejection(from + 50, new Error('failed'))))
    await session.flush()
  }
  await session.close()
  const [object] = await store.list('run-1/seg/')
  const file = toRunFile(object?.key as string, object?.size as number) as RunFile
  const bytes = Buffer.from((await store.get(file.key)) as Uint8Array)
  const stretches = new Map<number, { start: number; end: number; items: number[] }>()
  for await (const frames of readFrames(store, file, fingerprintOf(given), true, newReport())) {
    for (const { head, block, start, end } of frames) {
      const known = stretches.get(block < 0 ? start : block) ?? { start: block < 0 ? start : block, end, items: [] }
      if (head.kind === 'outcomes') for (let run = 0; run < head.runs.length; run += 2) known.items.push(...range(head.runs, run))
      if (head.kind === 'failure') known.items.push(head.index)
      stretches.set(known.start, known)
    }
  }
  const sorted = [...stretches.values()].sort((a, b) => a.start - b.start)
  if (form.compress === 'gzip') sorted.forEach((stretch, at) => (stretch.end = sorted[at + 1]?.start ?? bytes.length))
  return { key: file.key, bytes, stretches: sorted }
}

function range(runs: readonly number[], at: number): number[] {
  return Array.from({ length: runs[at + 1] as number }, (_, offset) => (runs[at] as number) + offset)
}

/** As `toEqual`, which takes longer than to load a file: asked only when they seem to differ. */
function expectEqual(actual: unknown, expected: unknown, message?: string): void {
  if (!isDeepStrictEqual(actual, expected)) expect(actual, message).toEqual(expected)
}

/** What is read of files: checks that nothing is invented or altered, gives the items that are settled. */
async function load(
  files: Record<string, Uint8Array>,
  isChecked = true,
  missing = 0,
): Promise<{ items: Set<number>; index: Awaited<ReturnType<typeof loadIndex>> }> {
  const store = memoryStore()
  for (const [key, bytes] of Object.entries(files)) await store.put(key, bytes)
  const list: Store['list'] = async (prefix) => (await store.list(prefix)).map(({ key, size }) => ({ key, size: size + missing }))
  const index = await loadIndex({ ...store, list }, 'run-1', fingerprint, { isKeyed: false, isChecked, count: 1000 })
  const restored = await restore(store, 'run-1', fingerprint, index, new Set(), 0)
  const { values, rejected } = await readAll(restored)
  for (const [at, value] of values) expectEqual(value, valueOf(at))
  for (const { reason, item, index: at } of rejected) expectEqual([reason?.message, item], ['failed', `item ${at}`])
  return { items: new Set([...values.keys(), ...rejected.map((it) => it.index)]), index }
}

describe.each(FORMS)('loading damaged files of $format, $compress', (form) => {
  let one: Written
  let all: number[]
  beforeAll(async () => {
    one = await write(form, 0)
    all = one.stretches.flatMap(({ items }) => items)
  })

  test('reads all of an undamaged one', async () => {
    expect(all).toHaveLength(13)
    expect((await load({ [one.key]: one.bytes })).items).toEqual(new Set(all))
  })

  test('shorter than it was listed as: loses what is missing, and nothing before', async () => {
    for (let length = 0; length < one.bytes.length; length += 7) {
      const { items, index } = await load({ [one.key]: one.bytes.subarray(0, length) }, true, one.bytes.length - length)
      expect(index.files[0]?.report.torn, `at ${length}`).toBeGreaterThanOrEqual(one.bytes.length - length)
      const whole = one.stretches.filter(({ end }) => end <= length)
      expect([...items]).toEqual(expect.arrayContaining(whole.flatMap((it) => it.items)))
    }
  })

  test('cut off anywhere: loses what is behind the cut, and nothing before', async () => {
    for (let length = 0; length < one.bytes.length; length++) {
      const { items, index } = await load({ [one.key]: one.bytes.subarray(0, length) })
      const whole = one.stretches.filter(
        ({ end }) => end <= length + (form.format === 'json' && form.compress === 'none' ? 1 : 0),
      )
      expect(items, `at ${length}`).toEqual(new Set(whole.flatMap((it) => it.items)))
      expect(index.damaged).toBe(0)
    }
  })

  test('any bit flipped: loses at most the frame or block it is in, and says so', async () => {
    const flip = async (at: number, bit: number) => {
      const bytes = Buffer.from(one.bytes)
      bytes.writeUInt8((bytes[at] as number) ^ (1 << bit), at)
      const { items, index } = await load({ [one.key]: bytes })
      const safe = one.stretches.filter(({ start, end }) => at < start || at >= end).flatMap((it) => it.items)
      const lost = safe.filter((item) => !items.has(item))
      expectEqual(lost, [], `byte ${at}, bit ${bit}`)
      const [file] = index.files
      const isTold = (file?.report.damage.length ?? 0) + (file?.damagedItems.length ?? 0) + (file?.report.torn ?? 0) > 0
      expectEqual(isTold || items.size === all.length, true, `byte ${at}, bit ${bit}`)
    }
    // At once, since to unpack a block is to wait for a thread.
    for (let at = 0; at < one.bytes.length; at++) await Promise.all(Array.from({ length: 8 }, (_, bit) => flip(at, bit)))
  })

  test('a damaged body tells which items are damaged', async () => {
    if (form.compress === 'gzip') return expect(one.stretches.length).toBeGreaterThan(3)
    const stretch = one.stretches.find(({ items }) => items.length === 3)
    const bytes = Buffer.from(one.bytes)
    const at = (stretch?.end as number) - 6
    bytes.writeUInt8((bytes[at] as number) ^ 4, at)
    const { items, index } = await load({ [one.key]: bytes })
    expect(index.damaged).toBe(3)
    expect(items.size).toBe(10)
  })

  test('frames of another file, another run, or an earlier life of the disk do not pass', async () => {
    const other = await write(form, 100)
    const foreign = await write(form, 200, { ...identity, seed: 1 })
    const spliced = Buffer.concat([one.bytes, other.bytes, foreign.bytes])
    expect((await load({ [one.key]: spliced })).items).toEqual(new Set(all))
    expect((await load({ [one.key]: one.bytes, [foreign.key]: foreign.bytes })).items).toEqual(new Set(all))
    const renamed = one.key.replace('run-1/seg/0', 'run-1/seg/1')
    expect((await load({ [renamed]: one.bytes })).items).toEqual(new Set())
  })

  test('frames swapped or repeated change nothing', async () => {
    const parts = one.stretches.map(({ start, end }) => one.bytes.subarray(start, end))
    const opening = one.bytes.subarray(0, one.stretches[0]?.start)
    await fc.assert(
      fc.asyncProperty(
        fc.shuffledSubarray(parts, { minLength: parts.length }),
        fc.array(fc.constantFrom(...parts)),
        async (some, more) => {
          const { items, index } = await load({ [one.key]: Buffer.concat([opening, ...some, ...more]) })
          expect(items).toEqual(new Set(all))
          expect(index.damaged).toBe(0)
        },
      ),
      { numRuns: 50 },
    )
  })

  test('a tail of zeros is a torn tail', async () => {
    const { items, index } = await load({ [one.key]: Buffer.concat([one.bytes, Buffer.alloc(5000)]) })
    expect(items).toEqual(new Set(all))
    expect(index.files[0]?.report).toMatchObject({ torn: 5000, damage: [] })
  })

  test('bytes removed from the middle cost no frame but those they were in', async () => {
    for (let at = (one.stretches[0]?.start as number) + 1; at < one.bytes.length; at += 3) {
      const { items } = await load({ [one.key]: Buffer.concat([one.bytes.subarray(0, at), one.bytes.subarray(at + 5)]) })
      const safe = one.stretches.filter(({ start, end }) => end <= at || start >= at + 5).flatMap((it) => it.items)
      expect(
        [...safe].filter((item) => !items.has(item)),
        `at ${at}`,
      ).toEqual([])
    }
  })

  test('random edits never raise anything but errors of ours, and never invent or alter an outcome', async () => {
    const edit = fc.record({ at: fc.nat(one.bytes.length - 1), remove: fc.nat(40), insert: fc.uint8Array({ maxLength: 40 }) })
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.boolean(), async (edits, isChecked) => {
        let bytes = one.bytes
        for (const { at, remove, insert } of edits)
          bytes = Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])
        await load({ [one.key]: bytes }, isChecked).catch((error: unknown) => {
          if (!(error instanceof PawlError)) throw error
        })
      }),
      { numRuns: 1000 },
    )
  })

  test('random bytes hold nothing', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async (bytes) => {
        const { items } = await load({ [one.key]: Buffer.concat([one.bytes.subarray(0, 40), bytes]) })
        expect(items).toEqual(new Set())
      }),
      { numRuns: 300 },
    )
  })
})

describe('a segment that was followed by another', () => {
  test.each(FORMS)('is told to lack its end, wherever it is cut off or changed: $format, $compress', async (form) => {
    const { append: _, ...store } = memoryStore()
    const session = await open(store, form)
    for (let index = 0; index < 3; index++) {
      session.record(outcomes([index]))
      await session.flush()
    }
    await session.close()
    const [{ key, size } = { key: '', size: 0 }, ...others] = await store.list('run-1/seg/')
    expect(others.length).toBeGreaterThanOrEqual(2)
    const whole = (await store.get(key)) as Uint8Array
    const next = async (bytes: Uint8Array) => {
      await store.put(key, bytes, { replace: true })
      expect((await verifyRun(store, 'run-1')).ok).toBe(bytes === whole)
      const { events, restored, close } = await open(store, form)
      const told = events.map(({ payload }) => (payload as { code: string }).code)
      await close()
      return { told, isThere: restored.statusOf(0) === 'fulfilled' }
    }
    expect(await next(whole)).toEqual({ told: [], isThere: true })
    for (let end = 0; end < size; end++) {
      const { told } = await next(whole.subarray(0, end))
      expect({ end, told }).toEqual({ end, told: told.map(() => 'CHECKPOINT_DAMAGED') })
      expect(told.length).toBeGreaterThan(0)
    }
    for (let at = 0; at < size; at++) {
      const { told, isThere } = await next(whole.map((byte, place) => (place === at ? byte ^ 1 : byte)))
      if (!isThere) expect({ at, told: told.length }).not.toEqual({ at, told: 0 })
    }
    expect(await next(whole)).toEqual({ told: [], isThere: true })
  })
})

test.each([1, 4])('a damaged body of %d frames is told once, whatever it is made of', async (frames) => {
  const store = memoryStore()
  const session = await open(store, { identity })
  for (let at = 0; at < frames; at++) {
    session.record(outcomes([at], () => 'PF'.repeat(50)))
    await session.flush()
  }
  await session.close()
  const [object] = await store.list('run-1/seg/')
  const key = object?.key as string
  const bytes = Buffer.from((await store.get(key)) ?? [])
  const at = bytes.indexOf('PFPFPF')
  await store.put(key, bytes.fill('PFx', at + 10, at + 13), { replace: true })
  const { damaged } = await verifyRun(store, 'run-1')
  expect(damaged).toMatchObject([{ problem: 'the outcomes of 1 item', items: [0] }])
})

describe.each(FORMS.filter(({ compress }) => compress === 'none'))(
  'a success that is damaged, of an item that had failed before: $format',
  (form) => {
    const damageOf = async (store: Store) => (await inspectRun(store, 'run-1')).damaged

    test('is told, and not made up for by that failure, but by one after it', async () => {
      const store = memoryStore()
      const first = await open(store, { ...form, identity })
      first.record(failing(rejection(7, new Error('failed'))))
      await first.close()
      const second = await open(store, { ...form, identity })
      second.record(outcomes([7], () => 'a value to be found'))
      await second.close()
      const key = (await store.list('run-1/seg/')).at(-1)?.key as string
      const bytes = Buffer.from((await store.get(key)) ?? [])
      bytes.write('x', bytes.indexOf('a value to be found'))
      await store.put(key, bytes, { replace: true })
      expect(await damageOf(store)).toBe(1)
      const third = await open(store, { ...form, identity })
      expect(third.restored).toMatchObject({ fulfilled: 0, rejected: 1, damaged: 1 })
      expect(JSON.stringify(third.events)).toContain(
        'naming 1 item not recorded elsewhere. What only they held (1 item) runs again',
      )
      third.record(failing({ ...rejection(7, new Error('failed again')), lastFailedAt: 3000 }))
      await third.flush()
      expect(await damageOf(store)).toBe(0)
      await third.close()
    })
  },
)

describe('objects in values that begin as lines do', () => {
  const values = (index: number) => [
    { crc: 'c0ffee00', index },
    { crc: '00000000', name: 'b' },
  ]

  test('hide no line behind a newline that is damaged', async () => {
    const store = memoryStore()
    const session = await open(store, { format: 'json', identity })
    for (let at = 0; at < 4; at++) {
      session.record(outcomes([at], values))
      await session.flush()
    }
    await session.close()
    const [object] = await store.list('run-1/seg/')
    const key = object?.key as string
    const bytes = Buffer.from((await store.get(key)) ?? [])
    const third = bytes.indexOf('"index":[2]')
    bytes.write(' ', bytes.lastIndexOf('\n', third))
    await store.put(key, bytes, { replace: true })
    const next = await open(store, { identity })
    expect([next.restored.fulfilled, next.restored.damaged]).toEqual([4, 0])
    await next.close()
  })

  test('are not looked at one by one, each with the rest of its line', () => {
    const objects = Array.from({ length: 1000 }, (_, index) => ({ crc: 'c0ffee00', index }))
    const line = Buffer.from(`${JSON.stringify(objects)}}\n${' '.repeat(100)}`)
    expect(jsonLayout.findNext(line, 0)).toBe(-1)
  })
})
