import { expect, test } from 'vitest'
import { createRecorder, prepare, slotOf } from '../../src/engine/flight-recorder.ts'
import type { LoadedRun } from '../../src/engine/loaded-run.ts'
import type { PartMessage } from '../../src/engine/protocol.ts'
import { runItems } from '../../src/engine/run-items.ts'

const setup = { runId: 'run', task: { kind: 'inline', source: '' }, seed: 0, record: undefined, jsonResults: false, timed: false }

test.each<[string, number | undefined]>([
  ['is copied in no time', undefined],
  ['takes long to copy', 1000],
])('what the last item gave stays as it was while output leaves the thread: it %s', async (_, cloneTime) => {
  const map = new Map([['n', 1]])
  const loaded = { setup, run: () => map, codec: undefined, checkLines: undefined, cloneTime } as unknown as LoadedRun
  const slot = slotOf(createRecorder(1), 0)
  prepare(slot, 1)
  const posted: PartMessage[] = []
  await runItems({ id: 1, items: [0], indices: 0 }, loaded, slot, {
    post: (part) => void posted.push(part),
    partMs: 50,
    maxStride: 64,
    flushOutput: async () => {
      await null
      map.clear() // As a timer of the task may.
    },
  })
  expect(posted.map(({ values }) => values)).toEqual([[new Map([['n', 1]])]])
})
