import { execFileSync } from 'node:child_process'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadCodec } from '../../src/values/codec.ts'

const codec = await loadCodec('msgpack')

const records = [1, 2, 3, 4, 5].map((id) => ({
  id,
  name: `größe ${id}`,
  when: new Date(id * 1500),
  data: Uint8Array.of(id),
  list: [id, null, 1e9, 5n],
}))
const columns: unknown[][] = [
  [1, 2, 3],
  [0.5, 1e300],
  ['a', 'bcd', ''],
  ['größe', '✓'],
  ['\ud800', 'x'],
  records,
  records.map(({ id, name }) => ({ id, name, list: [id, { of: [name] }], choice: id % 2 ? null : id })),
  [true, null, undefined, { a: [1, 2], b: 'x' }],
  [['a', 'b'], [], ['c']],
  ['x'.repeat(300), ...records, undefined, true, -70_000, new Uint8Array(300)],
  [1, new Map([['k', 1]]), { a: [-0] }, new Error('e')],
]
const written = columns.map((column) => codec.encode(column).bytes)

/** Fails unless `bytes` decode to values or raise CheckpointCorruptError. */
function attempt(bytes: Uint8Array): 'values' | 'corrupt' {
  try {
    expect(codec.decode(bytes)).toBeInstanceOf(Array)
    return 'values'
  } catch (error) {
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_CORRUPT' })
    return 'corrupt'
  }
}

function plain(...bytes: (number | number[])[]): Uint8Array {
  return Uint8Array.from([0x6d, ...bytes.flat()])
}

function table(kind: string, ...bytes: (number | number[])[]): Uint8Array {
  return Uint8Array.from([kind.charCodeAt(0), ...bytes.flat()])
}

/** Each says that it holds the next, and that it is as long as a length can say in two bytes. */
function lists(depth: number): Uint8Array {
  return Uint8Array.from(Array.from({ length: depth }, () => [0x6c, 1, 3, 0x6e, 0x62, 1, 0xff, 0x7f]).flat())
}

describe('msgpackCodec.decode()', () => {
  test('gives values or CheckpointCorruptError for damaged bytes', () => {
    const damage = fc.record({ at: fc.nat(), value: fc.nat(255), kind: fc.constantFrom('set', 'cut', 'insert', 'double') })
    const seen = { values: 0, corrupt: 0 }
    fc.assert(
      fc.property(fc.nat(written.length - 1), fc.array(damage, { minLength: 1, maxLength: 4 }), (which, damages) => {
        let bytes = Buffer.from(written[which] as Uint8Array)
        for (const { at, value, kind } of damages) {
          const place = at % (bytes.length + 1)
          if (kind === 'set') bytes[Math.min(place, bytes.length - 1)] = value
          if (kind === 'cut') bytes = bytes.subarray(0, place)
          if (kind === 'insert') bytes = Buffer.concat([bytes.subarray(0, place), Buffer.of(value), bytes.subarray(place)])
          if (kind === 'double') bytes = Buffer.concat([bytes, bytes.subarray(place)])
        }
        seen[attempt(bytes)]++
      }),
      { numRuns: 20_000 },
    )
    expect(seen.values).toBeGreaterThan(1000)
    expect(seen.corrupt).toBeGreaterThan(1000)
  })

  test('gives values or CheckpointCorruptError for random bytes', () => {
    const kind = fc.constantFrom(0x6d, 0x6e, 0x73, 0x78, 0x72, 0x6c, 0x63)
    const token = fc.constantFrom(
      0x40,
      0x91,
      0x92,
      0x94,
      0xa1,
      0xc1,
      0xc7,
      0xc9,
      0xd4,
      0xd6,
      0xdc,
      0xdd,
      0xdf,
      0x62,
      0x65,
      0x69,
      0x70,
      0x72,
      0x73,
      0x74,
      0x78,
      0xff,
      0,
    )
    const bytes = fc.array(fc.oneof(token, fc.nat(255)), { maxLength: 60 })
    fc.assert(
      fc.property(kind, bytes, (first, rest) => void attempt(Uint8Array.of(first, ...rest))),
      { numRuns: 20_000 },
    )
  })

  test.each([
    ['nothing', Uint8Array.of()],
    ['an unknown kind', Uint8Array.of(0x7a, 0x90)],
    ['an array that claims 2^32 - 1 elements', plain(0xdd, 0xff, 0xff, 0xff, 0xff)],
    ['arrays that each claim 65,535 elements', plain(...Array.from({ length: 200 }, () => [0xdc, 0xff, 0xff]).flat())],
    ['a string that claims 4 GiB', plain(0x91, 0xdb, 0xff, 0xff, 0xff, 0xff, 0x61)],
    ['bytes that claim 4 GiB', plain(0x91, 0xc6, 0xff, 0xff, 0xff, 0xff, 0x61)],
    ['a view that claims 4 GiB', plain(0x91, 0xc9, 0xff, 0xff, 0xff, 0xff, 0x74, 0x01)],
    ['nesting without end', plain(new Array<number>(100_000).fill(0x91))],
    ['a map', plain(0x91, 0x81, 0xa1, 0x61, 0x01)],
    ['a regular expression', plain(0x91, 0xd4, 0x78, 0x00, 0x92, 0xa1, 0x61, 0xa0)],
    ['an error', plain(0x91, 0xd4, 0x65, 0x00, 0x93, 0xa1, 0x61, 0xa0, 0xc0)],
    ['a reference', plain(0x91, 0xd6, 0x70, 0, 0, 0, 1)],
    ['a bundle of strings that begins before itself', plain(0x91, 0xd6, 0x62, 0xff, 0xff, 0xff, 0xf0)],
    ['a record that was not told', plain(0x91, 0x41, 0x01)],
    ['a record of the key __proto__', plain(0x91, 0xd4, 0x72, 0x40, 0x91, 0xa9, ...Buffer.from('__proto__'), 0x01)],
    ['a record of 10,000 keys', plain(0x91, 0xd4, 0x72, 0x40, 0xdc, 0x27, 0x10, new Array<number>(20_000).fill(0xa0))],
    ['msgpack that is no array', plain(0x01)],
    ['bytes after the end', plain(0x91, 0x01, 0x01)],
    ['numbers of no type', Uint8Array.of(0x6e, 0x7a, 1)],
    ['half a number', Uint8Array.of(0x6e, 0x64, 1, 2, 3)],
    ['2^32 - 1 strings', Uint8Array.of(0x73, 0x61, 0xff, 0xff, 0xff, 0xff, 0x62, 1)],
    ['strings longer than the text', Uint8Array.of(0x73, 0x61, 1, 0, 0, 0, 0x62, 9, 0x61)],
    ['text that is not UTF-8', Uint8Array.of(0x73, 0x75, 1, 0, 0, 0, 0x62, 1, 0xff)],
    ['2^53 records', table('r', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], 1, 1, 0x61, 3, 0x6e, 0x62, 1)],
    ['records without fields', table('r', [0xff, 0xff, 0x03], 0)],
    ['records of 65 fields', table('r', 1, 65, ...Array.from({ length: 65 }, (_, at) => [1, at, 3, 0x6e, 0x62, 1]))],
    ['records with one name twice', table('r', 1, 2, 1, 0x61, 3, 0x6e, 0x62, 1, 1, 0x61, 3, 0x6e, 0x62, 1)],
    ['records with the name __proto__', table('r', 1, 1, 9, ...Buffer.from('__proto__'), 3, 0x6e, 0x62, 1)],
    ['fewer values than records', table('r', 2, 1, 1, 0x61, 3, 0x6e, 0x62, 1)],
    ['a column longer than its bytes', table('r', 1, 1, 1, 0x61, 9, 0x6e, 0x62, 1)],
    ['records with something behind', table('r', 1, 1, 1, 0x61, 3, 0x6e, 0x62, 1, 0)],
    ['no lists', table('l', 0)],
    ['lists of lengths that are strings', table('l', 1, 9, 0x73, 0x61, 1, 0, 0, 0, 0x62, 1, 0x61)],
    ['a list shorter than nothing', table('l', 2, 4, 0x6e, 0x62, 0xff, 1)],
    ['lists of other elements than there are', table('l', 1, 3, 0x6e, 0x62, 2, 3, 0x6e, 0x62, 1)],
    ['a choice there is not', table('c', 1, 5)],
    ['2^53 choices', table('c', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], 0)],
    ['a choice of what is not there', table('c', 1, 4)],
    ['lists in lists without end', lists(100_000)],
    ['a checksum that is another', Uint8Array.of(0x78, 1, 0, 0, 0, 0x90, 1, 2, 3, 4)],
  ])('raises CheckpointCorruptError for %s', (_, bytes) => {
    const before = process.memoryUsage()
    expect(attempt(bytes)).toBe('corrupt')
    const after = process.memoryUsage()
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(2 ** 26)
  })

  test('runs nothing that a key says', () => {
    const keys = [
      'a"]:r()}),globalThis.hit=1,({["',
      "'+(globalThis.hit=1)+'",
      '`${globalThis.hit=1}`',
      'x:r()});globalThis.hit=1//',
      '\u2028globalThis.hit=1',
      '\n',
      '\\',
    ]
    const column = Array.from({ length: 10 }, () => Object.fromEntries(keys.map((key, at) => [key, at])))
    expect(codec.decode(codec.encode(column).bytes)).toEqual(column)
    expect(Reflect.get(globalThis, 'hit')).toBeUndefined()
  })

  test('says so when the values come from a newer Node', () => {
    const bytes = Buffer.from(codec.encode([new Map()]).bytes)
    const start = bytes.readUInt32LE(1) + 9
    const version = bytes.indexOf(0xff, start + 8) + 1
    bytes[version] = 99
    bytes.writeUInt32LE(crc32(bytes.subarray(start)), start - 4)
    expect(() => codec.decode(bytes)).toThrow(/newer Node may have written.*Resume with the Node that recorded it/)
    expect(attempt(bytes)).toBe('corrupt')
  })

  test('lets no serialized bytes through whose checksum is right but which V8 cannot read', () => {
    // In a process of its own, as the deserializer of V8 may end the process on bytes it did not write.
    const program = `
      import { crc32 } from 'node:zlib'
      import { loadCodec } from ${JSON.stringify(new URL('../../build/values/codec.js', import.meta.url))}
      const codec = await loadCodec('msgpack')
      const source = [new Map([['k', [1, , 3]]]), new Error('e', { cause: 1n }), new Set([new Date(1)]), Object(true), [new ArrayBuffer(8)], { a: -0, b: new DataView(new ArrayBuffer(4)) }]
      const written = source.map((value) => Buffer.from(codec.encode([value]).bytes))
      let state = 12345
      const random = (below) => ((state = (Math.imul(state, 1103515245) + 12345) >>> 0), (state >>> 8) % below)
      const seen = { values: 0, corrupt: 0 }
      for (let run = 0; run < 20000; run++) {
        const bytes = Buffer.from(written[run % written.length])
        const start = bytes.readUInt32LE(1) + 9
        for (let damage = random(3); damage >= 0; damage--) bytes[start + 8 + random(bytes.length - start - 8)] = random(256)
        bytes.writeUInt32LE(crc32(bytes.subarray(start)), start - 4)
        try {
          codec.decode(bytes)
          seen.values++
        } catch (error) {
          if (error.code !== 'ERR_PAWL_CHECKPOINT_CORRUPT') throw error
          seen.corrupt++
        }
      }
      process.stdout.write(JSON.stringify(seen))`
    const seen = JSON.parse(
      execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' }),
    ) as Record<string, number>
    expect(seen['values']).toBeGreaterThan(1000)
    expect(seen['corrupt']).toBeGreaterThan(1000)
  })
})
