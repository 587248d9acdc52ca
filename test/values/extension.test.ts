import { createRequire } from 'node:module'
import { expect, test } from 'vitest'
import { loadCodec } from '../../src/values/codec.ts'
import { assertSame } from './same.ts'

// In a file of its own: an extension cannot be taken back.
test('msgpackCodec holds dates and views though the program gave msgpackr another form for them', async () => {
  const codec = await loadCodec('msgpack')
  const column = [1, { when: new Date(7), data: Uint8Array.of(1) }, { a: 'b' }]
  const before = codec.encode(column).bytes
  for (const copy of ['msgpackr', 'msgpackr/index-no-eval']) {
    const { addExtension }: typeof import('msgpackr') = createRequire(import.meta.url)(copy)
    addExtension({ Class: Date, type: 1, write: (date: Date) => date.toISOString(), read: (text: string) => new Date(text) })
  }

  const { bytes, refused } = codec.encode(column)

  expect(refused).toEqual([])
  assertSame(codec.decode(bytes), column)
  assertSame(codec.decode(before), column)
  expect(Buffer.from(bytes).equals(before)).toBe(false)
})
