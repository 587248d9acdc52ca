import { expect, test } from 'vitest'
import { createPull } from '../../src/items/pull-async.ts'

const turnOfLoop = () => new Promise((resolve) => setImmediate(resolve))

/** An iterator that answers when it is told to. */
function tellable() {
  let open: PromiseWithResolvers | undefined
  const state = { asked: 0, overlapping: false }
  const next = () => {
    state.overlapping ||= open !== undefined
    state.asked++
    return new Promise<IteratorResult<number>>((resolve, reject) => {
      open = { resolve, reject }
    })
  }
  const settle = (how: (it: PromiseWithResolvers) => void) => {
    const asked = open as PromiseWithResolvers
    open = undefined
    how(asked)
  }
  return {
    state,
    iterator: { next } as AsyncIterator<number>,
    give: (value: number) => settle((it) => it.resolve({ value, done: false })),
    fail: (error: Error) => settle((it) => it.reject(error)),
  }
}

interface PromiseWithResolvers {
  resolve(result: IteratorResult<number>): void
  reject(error: Error): void
}

/** Pulls of `iterator` what is wanted into `taken`, of which a pull does not wait for more. */
function pullInto(taken: number[], iterator: AsyncIterator<number>, wanted: { count: number }) {
  return createPull(iterator, {
    isWanted: () => taken.length < wanted.count,
    mayWait: () => taken.length === 0,
    accept: (result) => void taken.push(result.value),
  })
}

test('createPull() waits for the first item, and for what follows one turn of the event loop', async () => {
  const { iterator, give, state } = tellable()
  const [taken, wanted] = [[] as number[], { count: 2 }]
  const pull = pullInto(taken, iterator, wanted)
  let isOver = false
  const first = pull().finally(() => {
    isOver = true
  })
  for (let turns = 0; turns < 5; turns++) await turnOfLoop()
  expect(isOver).toBe(false)
  give(1)
  expect(await first).toBe(false)
  expect(taken).toEqual([1])
  expect(state).toEqual({ asked: 2, overlapping: false })
})

test('createPull() takes a late item when it comes, asks for no other, and goes on from it', async () => {
  const { iterator, give, state } = tellable()
  const [taken, wanted] = [[] as number[], { count: 2 }]
  const pull = pullInto(taken, iterator, wanted)
  const first = pull()
  give(1)
  await first
  wanted.count = 0
  give(2)
  for (let turns = 0; turns < 5; turns++) await turnOfLoop()
  expect(taken).toEqual([1, 2])
  expect(state.asked).toBe(2)
  wanted.count = 3
  const second = pull()
  give(3)
  expect(await second).toBe(true)
  expect(taken).toEqual([1, 2, 3])
  expect(state).toEqual({ asked: 3, overlapping: false })
})

test('createPull() does not ask again while an answer is out, however often it is called', async () => {
  const { iterator, give, state } = tellable()
  const [taken, wanted] = [[] as number[], { count: 3 }]
  const pull = pullInto(taken, iterator, wanted)
  const first = pull()
  give(1)
  await first
  expect(await pull()).toBe(false)
  expect(await pull()).toBe(false)
  expect(state).toEqual({ asked: 2, overlapping: false })
  const fourth = pull()
  give(2)
  await Promise.resolve()
  await Promise.resolve()
  give(3)
  expect(await fourth).toBe(true)
  expect(taken).toEqual([1, 2, 3])
})

test('createPull() tells of an iterator that fails, also when nobody waits for it, and asks it no more', async () => {
  const { iterator, give, fail, state } = tellable()
  const pull = pullInto([], iterator, { count: 2 })
  const first = pull()
  give(1)
  await first
  fail(new Error('late'))
  await turnOfLoop()
  await expect(pull()).rejects.toThrow('late')
  await expect(pull()).rejects.toThrow('late')
  expect(state.asked).toBe(2)
})

test.each([
  ['next() throws', () => Promise.reject(new Error('no'))],
  [
    'next() throws at once',
    () => {
      throw new Error('no')
    },
  ],
])('createPull() rejects when %s', async (_, next) => {
  await expect(pullInto([], { next } as AsyncIterator<number>, { count: 1 })()).rejects.toThrow('no')
})

test('createPull() rejects with what accept() throws', async () => {
  const { iterator, give, state } = tellable()
  const accept = () => {
    throw new Error('not this one')
  }
  const pulled = createPull(iterator, { isWanted: () => true, mayWait: () => true, accept })()
  give(1)
  await expect(pulled).rejects.toThrow('not this one')
  expect(state.asked).toBe(1)
})

test('createPull() takes what is no promise for the answer, as a loop does', async () => {
  const taken: number[] = []
  const iterator = { next: () => ({ value: 7, done: false }) } as unknown as AsyncIterator<number>
  expect(await pullInto(taken, iterator, { count: 2 })()).toBe(true)
  expect(taken).toEqual([7, 7])
})
