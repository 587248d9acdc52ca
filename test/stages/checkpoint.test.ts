import { expect, test } from 'vitest'
import { checkpoint } from '../../src/stages/checkpoint.ts'
import type { Dispatch, RunContext } from '../../src/stages/stage.ts'
import type { Chunk } from '../../src/types.ts'

test.each([true, false])('checkpoint() lets a suspect begin only once word of it is safe: alone %s', async (alone) => {
  const order: string[] = []
  let save = () => {}
  const session = {
    begin: () =>
      new Promise<void>((resolve) => {
        save = () => {
          order.push('noted')
          resolve()
        }
      }),
  }
  const next: Dispatch = async () => {
    order.push('begun')
    return { fulfilled: [], rejected: [] }
  }
  const chunk: Chunk = { items: [1], indices: Uint32Array.of(0), ...(alone ? { alone } : {}) }
  const done = checkpoint(session, 2)(next)(chunk, {} as RunContext)
  await new Promise(setImmediate)
  save()
  await done
  expect(order).toEqual(alone ? ['noted', 'begun'] : ['begun', 'noted'])
})
