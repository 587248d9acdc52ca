import { expect, test, vi } from 'vitest'
import { answering } from '../../src/checkpoint/patience/answering.ts'
import { createHaste } from '../../src/checkpoint/patience/haste.ts'
import type { Clock } from '../../src/clock.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Log, Store } from '../../src/store/store.ts'

const never = () => new Promise<never>(() => {})

/** Time that passes when it is told to. Says how many sleep. */
function handClock() {
  const sleepers = new Set<{ readonly end: number; wake(): void }>()
  const clock: Clock & { time: number } = {
    time: 0,
    now: () => clock.time,
    today: () => clock.time,
    random: () => 0.5,
    sleep: (ms, signal) =>
      new Promise<void>((resolve, reject) => {
        const sleeper = { end: clock.time + ms, wake: resolve }
        sleepers.add(sleeper)
        signal?.addEventListener('abort', () => {
          sleepers.delete(sleeper)
          reject(signal.reason)
        })
      }),
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const jumpTo = async (time: number) => {
    clock.time = time
    for (const sleeper of [...sleepers]) if (sleeper.end <= time && sleepers.delete(sleeper)) sleeper.wake()
    await turn()
  }
  const passTo = async (time: number) => {
    for (;;) {
      const next = Math.min(...[...sleepers].map(({ end }) => end))
      await jumpTo(Math.min(next, time))
      if (next > time) return
    }
  }
  return { clock, jumpTo, passTo, sleepers }
}

/** A store of a run that can be told to end. `calls` come to what the promise is. */
function told(store: Store, deadline?: number) {
  const { clock, jumpTo, passTo, sleepers } = handClock()
  const abort = new AbortController()
  const haste = createHaste(abort.signal, clock, deadline)
  const settled: string[] = []
  const watch = (name: string, call: Promise<unknown>) => {
    call.then(
      () => settled.push(`${name} answered`),
      (error) => settled.push(`${name} ${error.code}: ${error.cause.message}`),
    )
  }
  return { store: answering(store, { runId: 'run', clock, haste }), abort, jumpTo, passTo, sleepers, settled, watch }
}

const silence = (seconds: string) => `ERR_PAWL_CHECKPOINT_WRITE: no answer within ${seconds} s, as the run was told to end`

test('a call takes as long as it takes while nobody wants the run to end', async () => {
  const { store, passTo, sleepers, settled, watch } = told({ ...memoryStore(), get: never })
  watch('get', store.get('a'))
  await passTo(1e9)
  expect({ settled, sleepers: sleepers.size }).toEqual({ settled: [], sleepers: 0 })
})

test('each call may take 5 s from then on, or from when it was made', async () => {
  let answer = () => {}
  const put = () =>
    new Promise<void>((resolve) => {
      answer = resolve
    })
  const { store, abort, passTo, sleepers, settled, watch } = told({ ...memoryStore(), put, get: never })
  watch('put', store.put('a', new Uint8Array()))
  await passTo(60_000)
  abort.abort()
  await passTo(64_999)
  answer()
  await passTo(64_999)
  expect({ settled, sleepers: sleepers.size }).toEqual({ settled: ['put answered'], sleepers: 0 })
  watch('get', store.get('a'))
  await passTo(69_998)
  expect(settled).toHaveLength(1)
  await passTo(69_999)
  expect(settled.slice(1)).toEqual([`get ${silence('5.0')}`])
})

test('all that follows a call that was not answered has 1 s together, and is made all the same', async () => {
  const remove = vi.fn(never)
  const { store, abort, passTo, sleepers, settled, watch } = told({ ...memoryStore(), list: never, delete: remove })
  abort.abort()
  watch('list', store.list(''))
  await passTo(5000)
  watch('first', store.delete('a'))
  await passTo(5999)
  expect(settled).toEqual([`list ${silence('5.0')}`])
  await passTo(6000)
  watch('second', store.delete('b'))
  await passTo(6000)
  expect(settled.slice(1)).toEqual([`first ${silence('5.0')}`, `second ${silence('5.0')}`])
  expect(remove).toHaveBeenCalledTimes(2)
  expect(sleepers.size).toBe(0)
  watch('put', store.put('a', new Uint8Array()))
  await new Promise((resolve) => setImmediate(resolve)) // No timer goes off before.
  expect(settled.at(-1)).toBe('put answered')
})

test('a process that was stopped hears the answers before it gives its store up', async () => {
  let answer = () => {}
  const put = () =>
    new Promise<void>((resolve) => {
      answer = resolve
    })
  const { store, abort, jumpTo, passTo, settled, watch } = told({ ...memoryStore(), put })
  abort.abort()
  watch('put', store.put('a', new Uint8Array()))
  await jumpTo(1e6)
  answer()
  await passTo(2e6)
  expect(settled).toEqual(['put answered'])
})

test('no call takes more than half of the time until a deadline', async () => {
  const { store, abort, passTo, settled, watch } = told({ ...memoryStore(), get: never }, 3000)
  await passTo(1000)
  abort.abort()
  watch('get', store.get('a'))
  await passTo(1999)
  expect(settled).toEqual([])
  await passTo(2000)
  expect(settled).toEqual([`get ${silence('1.0')}`])
})

test('a log is asked as its store is, and what a store cannot do it still cannot', async () => {
  const log: Log = { write: never, sync: never, close: never }
  const bare: Store = { get: never, put: never, list: never, delete: never }
  const { store, abort, passTo, settled, watch } = told({ ...bare, append: async () => log })
  expect([store.sync, store.modifiedAt, told(bare).store.append]).toEqual([undefined, undefined, undefined])
  const opened = (await store.append?.('a')) as Log
  expect(opened.confirm).toBeUndefined()
  abort.abort()
  watch('write', opened.write(new Uint8Array()))
  watch('sync', opened.sync())
  watch('close', opened.close())
  await passTo(5000)
  expect(settled).toEqual(['write', 'sync', 'close'].map((name) => `${name} ${silence('5.0')}`))
})

test('what a store throws or rejects with is passed on, and a store may be an object of a class', async () => {
  class Own implements Store {
    readonly #inner = memoryStore()
    get(key: string): Promise<Uint8Array | undefined> {
      return this.#inner.get(key)
    }
    put(key: string, bytes: Uint8Array): Promise<void> {
      return this.#inner.put(key, bytes)
    }
    list(): never {
      throw new Error('thrown')
    }
    delete(): Promise<never> {
      return Promise.reject(new Error('rejected'))
    }
    async modifiedAt(): Promise<number> {
      return this.#inner ? 1 : 0
    }
  }
  const { store } = told(new Own())
  await store.put('a', Uint8Array.of(1))
  await expect(store.get('a')).resolves.toEqual(Uint8Array.of(1))
  await expect(store.modifiedAt?.('a')).resolves.toBe(1)
  await expect(store.list('')).rejects.toThrow('thrown')
  await expect(store.delete('a')).rejects.toThrow('rejected')
})

test('what was put behind its deletion, since the put was given up, is deleted again', async () => {
  const inner = memoryStore()
  let land = () => {}
  const put: Store['put'] = (...given) =>
    new Promise((resolve, reject) => {
      land = () => void inner.put(...given).then(resolve, reject)
    })
  const { store, abort, passTo, settled, watch } = told({ ...inner, put })
  abort.abort()
  watch('a', store.put('a', new Uint8Array()))
  await passTo(5000)
  const landA = land
  watch('b', store.put('b', new Uint8Array()))
  await store.delete('a')
  landA()
  land()
  await passTo(5000)
  expect(settled).toEqual([`a ${silence('5.0')}`, 'b answered'])
  expect((await inner.list('')).map(({ key }) => key)).toEqual(['b'])
})
