import { expect, test } from 'vitest'
import { systemClock } from '../../src/clock.ts'
import { createEmitter } from '../../src/events.ts'
import { createCollector } from '../../src/run/collector.ts'
import { restoreOutcomes } from '../../src/run/restore.ts'
import type { Selected } from '../../src/run/select.ts'

test.each([
  { keepFailures: false, read: 2 },
  { keepFailures: true, read: 100 }, // Why they failed is read with the values.
])('what is on record is counted, and not told, once the loop over a stream is left: %o', async ({ keepFailures, read }) => {
  let taken = 0
  let valued = 0
  const collector = createCollector<number, number>({
    ...{ options: { collect: false, maxFailures: { count: 0 } }, emitter: createEmitter({}), clock: systemClock },
    ...{ session: undefined, codec: undefined, areNumbers: false, length: () => 100, total: () => 100 },
    ...{ onOutcomes: () => void taken++, isLeft: () => taken === 2, onTooManyFailures: () => {}, onSample: () => {} },
  })
  const restored = {
    async *read(how: { readonly values: boolean }) {
      for (let index = 0; index < 100; index++) {
        if (how.values) valued++
        yield { fulfilled: [{ indices: Uint32Array.of(index), ...(how.values ? { values: [index] } : {}) }], rejected: [] }
      }
    },
  }
  const selected = { placeOf: (index: number) => index, itemOf: () => undefined, onSettled: () => {} }
  const options = { keepFailures, isKeyedIterable: false }
  await restoreOutcomes(restored as never, collector, selected as Partial<Selected<number>> as Selected<number>, options)
  expect({ taken, valued, restored: collector.counts.restored }).toEqual({ taken: 2, valued: read, restored: 100 })
})
