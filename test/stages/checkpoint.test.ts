import { expect, test } from 'vitest'
import { checkpoint } from '../../src/stages/checkpoint.ts'
import type { Dispatch, RunContext } from '../../src/stages/stage.ts'
import type { Chunk } from '../../src/types.ts'

test.each([true, false])(
  'checkpoint() lets the first chunk, and a suspect, begin only once word of it is safe: alone %s',
  async (alone) => {
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
    const dispatch = checkpoint(session, 2)(next)
    const send = async (chunk: Chunk) => {
      order.length = 0
      const done = dispatch(chunk, {} as RunContext)
      await new Promise(setImmediate)
      save()
      await done
      return order
    }
    const chunk: Chunk = { items: [1], indices: Uint32Array.of(0) }
    expect(await send(chunk)).toEqual(['noted', 'begun'])
    expect(await send({ ...chunk, alone })).toEqual(alone ? ['noted', 'begun'] : ['begun', 'noted'])
  },
)
