import { expect, test } from 'vitest'
import { type RunFile, toRunFile } from '../../src/checkpoint/format/run-file.ts'
import { AT_ONCE } from '../../src/checkpoint/patience/at-once.ts'
import { WINDOW_BYTES } from '../../src/checkpoint/reading/file-bytes.ts'
import { askForSpans, type FramePlace, inSpans } from '../../src/checkpoint/reading/spans.ts'
import { memoryStore } from '../../src/store/memory.ts'

const FAR = 2 ** 20

const fileOf = (stem: string) => toRunFile(`r/seg/${stem}.json`, 2 ** 30) as RunFile
const [a, b] = [fileOf('000000000aa-1'), fileOf('000000000bb-1')]

/** A frame in a file, or in its block `block`. */
function at(file: RunFile, start: number, end: number, block = -1): FramePlace {
  return { file, start, end, block, stem: file.stem }
}

/** The groups, of each span its bounds and how many frames it has. */
function group(places: Iterable<FramePlace>) {
  return [...inSpans(places)].map((spans) => spans.map(({ start, end, places }) => [start, end, places.length]))
}

test('inSpans: frames of a file that lie near one another are read together, in whatever order they are wanted', () => {
  expect(group([])).toEqual([])
  expect(group([at(a, 0, 10), at(a, 10, 20), at(a, 100, 110)])).toEqual([[[0, 110, 3]]])
  expect(group([at(a, 100, 110), at(a, 0, 10), at(a, 50, 60)])).toEqual([[[0, 110, 3]]])
})

test('inSpans: what lies far apart, or in several files, is read by several calls at once', () => {
  const [near, far] = [at(a, 0, 10), at(a, FAR, FAR + 10)]
  expect(group([near, far, at(b, 10, 20), at(a, 10, 20), at(a, FAR + 10, FAR + 20), at(b, 0, 10)])).toEqual([
    [
      [0, 20, 2],
      [FAR, FAR + 20, 2],
      [0, 20, 2],
    ],
  ])
})

test('inSpans: no more calls and bytes at once than may be, but for what is alone larger', () => {
  const apart = Array.from({ length: AT_ONCE + 1 }, (_, nth) => at(a, nth * FAR, nth * FAR + 1))
  expect(group(apart).map((spans) => spans.length)).toEqual([AT_ONCE, 1])
  const size = WINDOW_BYTES / 4
  const large = Array.from({ length: 9 }, (_, nth) => at(a, nth * size, (nth + 1) * size))
  expect(group(large)).toEqual([[[0, 4 * size, 4]], [[4 * size, 8 * size, 4]], [[8 * size, 9 * size, 1]]])
  const huge = at(a, 10, 3 * WINDOW_BYTES)
  expect(group([at(a, 0, 10), huge, at(a, huge.end, huge.end + 1)]).map(([spans]) => spans)).toEqual([
    [0, 10, 1],
    [10, huge.end, 1],
    [huge.end, huge.end + 1, 1],
  ])
})

test('inSpans: a frame in a block is alone, since nobody knows how large that is', () => {
  expect(group([at(a, 0, 10, 50), at(a, 10, 20, 50), at(b, 0, 10), at(a, 0, 10, 90)])).toEqual([
    [[0, 10, 1]],
    [[10, 20, 1]],
    [[0, 10, 1]],
    [[0, 10, 1]],
  ])
})

test('inSpans: asks for one place more than a group has, so that of very many few are looked at', () => {
  let asked = 0
  function* places() {
    for (; ; asked++) yield at(a, asked * WINDOW_BYTES, (asked + 1) * WINDOW_BYTES)
  }
  const [first] = inSpans(places())
  expect(first).toHaveLength(1)
  expect(asked).toBe(1)
})

test('askForSpans: gives each frame its bytes, of frames in blocks those of the block', async () => {
  const store = memoryStore()
  await store.put(a.key, Buffer.from('0123456789'))
  const [first, second, packed] = [at(a, 7, 9), at(a, 2, 4), at(b, 1, 3, 0)] as const
  const asked = [...inSpans([first, second, packed])].map((spans) => askForSpans(store, spans, async () => Buffer.from('abcd')))
  const texts = await Promise.all(asked.flatMap((some) => [...some.values()]).map(async (bytes) => String(await bytes)))
  expect(texts).toEqual(['78', '23', 'bc'])
})
