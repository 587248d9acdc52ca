import { expect, test } from 'vitest'
import { checkpoint } from '../../src/stages/checkpoint.ts'
import type { Dispatch, RunContext } from '../../src/stages/stage.ts'
import type { Chunk } from '../../src/types.ts'

test('checkpoint() lets a chunk begin only once word of it is on its way', async () => {
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
  for (const chunk of [CHUNK, CHUNK, { ...CHUNK, alone: true }]) {
    order.length = 0
    const done = dispatch(chunk, { lend: (answer) => answer } as RunContext)
    await new Promise(setImmediate)
    save()
    await done
    expect(order).toEqual(['noted', 'begun'])
  }
})

test('checkpoint() gives up a suspect with maxCrashes, and runs one with fewer, or in company', async () => {
  const begun: number[] = []
  const session = { begin: async ({ indices }: Pick<Chunk, 'indices'>) => void begun.push(...indices) }
  const dispatch = checkpoint(session, 2)(async () => ({ fulfilled: [], rejected: [] }))
  const context = { clock: { today: () => 9 }, lend: (answer) => answer } as RunContext
  const send = (crashes: number, pardoned: number, alone: boolean) => {
    const history = { attempts: crashes - pardoned, crashes, pardoned, firstFailedAt: 1 }
    return dispatch({ ...CHUNK, alone, histories: new Map([[0, history]]) }, context)
  }
  const { rejected } = await send(2, 0, true)
  expect(begun).toEqual([])
  expect(rejected).toMatchObject([{ index: 0, kind: 'crash', crashes: 2, attempts: 2, firstFailedAt: 1, lastFailedAt: 9 }])
  for (const [crashes, pardoned, alone] of [
    [1, 0, true],
    [3, 2, true],
    [2, 0, false],
  ] as const) {
    expect(await send(crashes, pardoned, alone)).toEqual({ fulfilled: [], rejected: [] })
  }
  expect(begun).toEqual([0, 0, 0])
})

const CHUNK: Chunk = { items: [1], indices: Uint32Array.of(0) }
