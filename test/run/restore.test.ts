import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
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

test('a value on record of a keyed iterable is let go of once its item has turned up', async () => {
  const collector = createCollector<string, object>({
    ...{ options: { collect: false, maxFailures: { count: 0 } }, emitter: createEmitter({}), clock: systemClock },
    ...{ session: undefined, codec: undefined, areNumbers: false, length: () => undefined, total: () => undefined },
    ...{ onOutcomes: () => {}, isLeft: () => false, onTooManyFailures: () => {}, onSample: () => {} },
  })
  const recorded: WeakRef<object>[] = []
  const restored = {
    async *read() {
      const values = ['a', 'b'].map((name) => ({ name }))
      for (const value of values) recorded.push(new WeakRef(value))
      yield { fulfilled: [{ indices: Uint32Array.of(0, 1), keys: ['a', 'b'], values }], rejected: [] }
    },
  }
  let turnUp: Parameters<Selected<string>['onSettled']>[0] = () => {}
  const selected = {
    onSettled: (listener: typeof turnUp) => {
      turnUp = listener
    },
  }
  const options = { keepFailures: false, isKeyedIterable: true }
  await restoreOutcomes(restored as never, collector, selected as Partial<Selected<string>> as Selected<string>, options)
  turnUp(0, 'b', 'item')
  setFlagsFromString('--expose-gc')
  const collectGarbage: () => void = runInNewContext('gc')
  await new Promise((resolve) => setImmediate(resolve)) // Until then a WeakRef that was just made keeps its target.
  collectGarbage()
  expect(recorded.map((it) => it.deref())).toEqual([{ name: 'a' }, undefined])
  turnUp(1, 'a', 'item')
})
