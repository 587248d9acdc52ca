import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import type { LoadedRun, Port } from '../../src/engine/loaded-run.ts'
import { Part } from '../../src/engine/part.ts'
import { NUMBERS_TOGETHER, type PartMessage } from '../../src/engine/protocol.ts'
import { HEAVY_MS } from '../../src/items/chunk.ts'
import { MIN_GIVEN, move } from '../../src/move.ts'
import { jsonCodec } from '../../src/values/json.ts'
import { msgpackCodec } from '../../src/values/msgpack.ts'

const setup = { runId: 'run', task: { kind: 'module', href: 'file:///task.js', name: 'default' }, shared: undefined, seed: 0 }
const createRun = (codec: LoadedRun['codec']) =>
  ({
    setup: { ...setup, record: undefined, jsonResults: false, timed: false },
    run: () => {},
    codec,
    json: undefined,
  }) as unknown as LoadedRun

/** What parts of so many values say of packing, one chunk after the other. */
function packTimes(codec: LoadedRun['codec'], ...counts: number[]): unknown[] {
  return packTimesOf((place) => ({ place }), codec, ...counts)
}

/** A value that takes long to be posted. */
const HEAVY = 'heavy'
const now = () => performance.now()

function packTimesOf(task: (place: number) => unknown, codec: LoadedRun['codec'], ...counts: number[]): unknown[] {
  const run = createRun(codec)
  const posted: PartMessage[] = []
  for (const count of counts) {
    const post = (part: PartMessage, transfer: ArrayBuffer[]) => {
      if (Array.isArray(part.values) && part.values.includes(HEAVY)) for (const end = now() + HEAVY_MS; now() < end; );
      posted.push(structuredClone(part, { transfer }))
    }
    const part = new Part({ id: 1, items: new Array(count), indices: 0 }, run, { post, partMs: 50, maxStride: 64 })
    for (let place = 0; place < count; place++) part.keep(task(place), place)
    part.send(count, true)
  }
  return posted.map((it) => it.packTime)
}

test('tells what packing a value took when many were last', () => {
  const many = NUMBERS_TOGETHER
  const [first, second, third] = packTimes(undefined, 1, many, 1)
  expect(first).toBeUndefined()
  expect(second ?? HEAVY_MS).toBeGreaterThanOrEqual(HEAVY_MS) // One value tells nothing, but where the machine made a pause just then.
  expect(third).toEqual(expect.any(Number))
  expect(packTimes(undefined, many, 1, 1)).toEqual([undefined, expect.any(Number), expect.any(Number)])
})

test('tells it of a single value that takes long to pack, until one takes less', () => {
  const values = [HEAVY, 0]
  const [first, slow, quick] = packTimesOf(() => values.shift() ?? 0, undefined, 1, 1, 1)
  expect(first).toBeUndefined()
  expect(slow).toBeGreaterThanOrEqual(HEAVY_MS)
  expect(quick).toBeLessThan(Number(slow))
})

test('tells it of numbers, too, whose memory threads share', () => {
  expect(packTimesOf((place) => place, undefined, NUMBERS_TOGETHER, 1)).toEqual([undefined, expect.any(Number)])
})

test('does not when a codec packs them: to read bytes costs next to nothing', () => {
  expect(packTimes(msgpackCodec, NUMBERS_TOGETHER, NUMBERS_TOGETHER)).toEqual([undefined, undefined])
})

const openPart = (items: readonly unknown[], codec: LoadedRun['codec'], post: Port['post']) =>
  new Part({ id: 1, items, indices: 0 }, createRun(codec), { post, partMs: 50, maxStride: 64 })

/** Posts one result after the other, each in a part of its own, and gives what came of them. */
function carry(codec: LoadedRun['codec'], ...values: unknown[]): PartMessage[] {
  const posted: PartMessage[] = []
  const post = (part: PartMessage, transfer: ArrayBuffer[]) => void posted.push(structuredClone(part, { transfer }))
  const part = openPart(values, codec, post)
  for (const [place, value] of values.entries()) {
    part.keep(typeof value === 'function' ? value() : value, place)
    part.send(place + 1, place === values.length - 1)
  }
  return posted
}

test('gives away what was moved and is in a result, and copies all else', () => {
  const [inside, beside, before] = [Uint8Array.of(1), Uint8Array.of(2), Uint8Array.of(3)]
  move(before)
  const [first, second, third] = carry(
    undefined,
    before,
    () => ({ deep: [move(inside)], beside }),
    () => void move(beside),
  )
  expect([first, second, third].map((it) => it?.values)).toEqual([[before], [{ deep: [Uint8Array.of(1)], beside }], [undefined]])
  expect([inside, beside, before].map((it) => it.length)).toEqual([0, 1, 1])
})

test('has nothing leave the thread that was not moved, after which loops over typed arrays are slow there', () => {
  const left: ArrayBuffer[] = []
  const carryAll = (codec: LoadedRun['codec'], values: readonly unknown[]) => {
    const post = (_: PartMessage, transfer: ArrayBuffer[]) => void left.push(...transfer)
    const part = openPart(values, codec, post)
    for (const [place, value] of values.entries()) part.keep(value, place)
    part.send(values.length, true)
  }
  const numbers = Array.from({ length: NUMBERS_TOGETHER + 1 }, (_, at) => at)
  const bytes = new Uint8Array(1_000_000)
  for (const codec of [undefined, msgpackCodec])
    for (const values of [numbers, [bytes], [{ bytes }, bytes.buffer]]) carryAll(codec, values)
  expect(left).toEqual([])
  // But what is so large that a copy of it may have no room.
  carryAll(undefined, [new Uint8Array(MIN_GIVEN)])
  carryAll(msgpackCodec, [new Uint8Array(MIN_GIVEN)])
  expect(left.map(({ byteLength }) => byteLength >= MIN_GIVEN)).toEqual([true, true])
})

test('gives away what is of another realm, as typed arrays are to all that a test runner has in a vm', () => {
  const [buffer, view, inside] = runInNewContext('[new ArrayBuffer(1), Int8Array.of(2), Int8Array.of(3)]')
  const [values] = carry(undefined, () => [move(buffer), move(view), runInNewContext('new Map()').set('inside', move(inside))])
  expect(values?.values).toEqual([[new ArrayBuffer(1), Int8Array.of(2), new Map([['inside', Int8Array.of(3)]])]])
  expect([buffer, view, inside].map((it) => it.byteLength)).toEqual([0, 0, 0])
})

test('fails an item alone whose buffer has gone with the result of another', () => {
  const bytes = Uint8Array.of(1)
  const give = () => ({ bytes: move(bytes) })
  const [first, second, third] = carry(undefined, give, give, 3)
  expect(first?.values).toEqual([{ bytes: Uint8Array.of(1) }])
  expect(second).toMatchObject({ rejected: [{ place: 1, kind: 'serialization' }] })
  expect(third?.values).toEqual([3])
})

test('gives nothing away that a codec packs, or that was refused', () => {
  const [packed, refused] = [Uint8Array.of(1), Uint8Array.of(2)]
  const [recorded] = carry(msgpackCodec, () => [move(packed)])
  expect(recorded?.record).toBeDefined()
  const [failed] = carry(undefined, () => ({ bytes: move(refused), no: () => {} }))
  expect(failed?.rejected).toMatchObject([{ place: 0, kind: 'serialization' }])
  expect([packed.length, refused.length]).toEqual([1, 1])
})

test('finds the items of refused values without going over the chunk for each', () => {
  const count = 1000
  let looks = 0
  const items = {
    get length() {
      looks++
      return count
    },
  }
  const posted: PartMessage[] = []
  const part = new Part({ id: 1, items, indices: 100 }, createRun(jsonCodec), {
    post: (message) => void posted.push(message),
    partMs: 50,
    maxStride: 64,
  })
  for (let place = 0; place < count; place++) {
    if (place % 4 === 0) part.reject(place, 'error', new Error('no'))
    else part.keep(place % 2 === 0 ? place : undefined, place)
  }
  part.send(count, true)
  const { rejected = [] } = posted[0] as PartMessage
  expect(rejected.map(({ place }) => place)).toEqual(Array.from({ length: count }, (_, at) => at).filter((it) => it % 4 !== 2))
  for (const { place, kind, error } of rejected)
    if (kind === 'serialization') expect(error.message).toContain(`the result of item ${100 + place}:`)
  expect(looks).toBeLessThan(4 * count)
})

test('values that have room only in parts are sent in parts, with the failures of the places between them', () => {
  const small: LoadedRun['codec'] = {
    ...jsonCodec,
    encode: (values, describe) => {
      if (values.length > 2) throw new RangeError('too much')
      return jsonCodec.encode(values, describe)
    },
  }
  const posted: PartMessage[] = []
  const post = (message: PartMessage) => void posted.push(message)
  const part = new Part({ id: 1, items: new Array(9), indices: 0 }, createRun(small), { post, partMs: 50, maxStride: 64 })
  const fates = [0, 'error', 2, undefined, 4, 5, 'error', 7, 'error']
  for (const [place, fate] of fates.entries()) {
    if (fate === 'error') part.reject(place, 'error', new Error('no'))
    else part.keep(fate, place)
  }
  part.send(9, true)
  expect(posted.map(({ from, to, end }) => [from, to, end])).toEqual([
    [0, 2, false],
    [2, 4, false],
    [4, 5, false],
    [5, 9, true],
  ])
  expect(posted.flatMap(({ record }) => jsonCodec.decode(record as Uint8Array))).toEqual([0, 2, 4, 5, 7])
  expect(posted.map(({ rejected }) => rejected?.map(({ place }) => place))).toEqual([[1], [3], undefined, [6, 8]])
})
