import { expect, test } from 'vitest'
import { checkHead } from '../../src/checkpoint/format/head.ts'
import { createIndexBuilder } from '../../src/checkpoint/record/index-builder.ts'
import type { Restored } from '../../src/checkpoint/record/restored.ts'
import { Aside } from '../../src/checkpoint/session/aside.ts'

test('what is left of more items than a chunk has is recorded in frames that readers take', () => {
  const index = createIndexBuilder(false).finish([], [])
  const aside = new Aside(index, { historyOf: () => undefined } as unknown as Restored)
  const histories = { get: () => ({ attempts: 2, crashes: 0, firstFailedAt: 1 }) } as never
  for (const from of [0, 700_000]) {
    const indices = Uint32Array.from({ length: 700_000 }, (_, at) => from + at)
    aside.add({ items: [], indices, histories })
  }
  const left = aside.take()
  expect(left.map(({ head }) => checkHead(head, 0)?.kind)).toEqual(['attempted', 'attempted'])
  expect(aside.take()).toEqual([])
})
