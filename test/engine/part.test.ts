import { expect, test } from 'vitest'
import { msgpackCodec } from '../../src/checkpoint/values/msgpack.ts'
import { type LoadedRun, Part } from '../../src/engine/part.ts'
import { NUMBERS_TOGETHER, type PartMessage } from '../../src/engine/protocol.ts'

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

function packTimesOf(task: (place: number) => unknown, codec: LoadedRun['codec'], ...counts: number[]): unknown[] {
  const run = createRun(codec)
  const posted: PartMessage[] = []
  for (const count of counts) {
    const post = (part: PartMessage, transfer: ArrayBuffer[]) => void posted.push(structuredClone(part, { transfer }))
    const part = new Part({ id: 1, items: new Array(count), indices: 0 }, run, { post, partMs: 50, maxStride: 64 })
    for (let place = 0; place < count; place++) part.keep(task(place))
    part.send(count, true)
  }
  return posted.map((it) => it.packTime)
}

test('tells what packing a value took when many were last', () => {
  const many = NUMBERS_TOGETHER
  const [first, second, third] = packTimes(undefined, 1, many, 1)
  expect([first, second]).toEqual([undefined, undefined])
  expect(third).toEqual(expect.any(Number))
  expect(packTimes(undefined, many, 1, 1)).toEqual([undefined, expect.any(Number), expect.any(Number)])
})

test('tells it of numbers, too, whose memory leaves the thread', () => {
  expect(packTimesOf((place) => place, undefined, NUMBERS_TOGETHER, 1)).toEqual([undefined, expect.any(Number)])
})

test('does not when a codec packs them: to read bytes costs next to nothing', () => {
  expect(packTimes(msgpackCodec, NUMBERS_TOGETHER, NUMBERS_TOGETHER)).toEqual([undefined, undefined])
})
