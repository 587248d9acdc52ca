import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { escapeJson, formatBytes, printAll, printable, printJson, table, toJson } from '../../src/cli/terminal.ts'
import { SerializationError } from '../../src/errors.ts'

const STEERING = /\p{Cc}|[\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

describe('printable()', () => {
  test('escapes what would steer a terminal and leaves the rest', () => {
    expect(printable('a\x1b[31m\u009b2J\n\u202eé\u{1f600}')).toBe('a\\x1b[31m\\x9b2J\\n\\u202eé\u{1f600}')
  })

  test('leaves no steering character in any text', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => !STEERING.test(printable(text))))
  })
})

describe('escapeJson()', () => {
  test('is the same JSON without steering characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const json = escapeJson(JSON.stringify({ text }))
        expect(STEERING.test(json)).toBe(false)
        expect(JSON.parse(json)).toEqual({ text })
      }),
    )
  })
})

describe('toJson()', () => {
  const shown = (value: unknown) => JSON.parse(String(toJson(value)))

  test('gives of an error what is on record of it, its own fields and the errors it has in it', () => {
    const error = Object.assign(new Error('no'), { status: 503, url: 'http://a', body: { tries: [1, 2n] }, code: 'E_NO' })
    expect(shown({ error }).error).toEqual({
      ...{ name: 'Error', message: 'no', status: 503, url: 'http://a', body: { tries: [1, '2'] }, code: 'E_NO' },
      stack: error.stack,
    })
    expect(shown(new SerializationError('no', 'a.b', { index: 3 }))).toMatchObject({ path: 'a.b', index: 3 })
    expect(shown(new AggregateError([new TypeError('a'), 7], 'many', { cause: new RangeError('why') }))).toMatchObject({
      ...{ name: 'AggregateError', cause: { name: 'RangeError', message: 'why' } },
      errors: [{ name: 'TypeError', message: 'a' }, 7],
    })
  })

  test('ends where fields lead back to the error, and keeps apart what they are called', () => {
    const error = Object.assign(new Error('no'), JSON.parse('{"toString":1}'), { deep: {} })
    Object.defineProperty(error, '__proto__', { value: 'own', enumerable: true })
    Object.assign(error.deep, { error, again: new Map([['it', error.deep]]) })
    const found = shown(error)
    expect(found).toMatchObject({ toString: 1, deep: { error: '[Circular]', again: { it: '[Circular]' } } })
    expect(Object.getOwnPropertyDescriptor(found, '__proto__')?.value).toBe('own')
  })

  test.each<[string, unknown]>([
    ['a text', 'x'.repeat(70_000)],
    ['bytes', new Uint8Array(70_000)],
    ['an array of nothing', new Array(2 ** 31)],
    ['texts deep in it', { a: [new Map([['b', new Set(Array.from({ length: 10 }, (_, n) => `${n}${'x'.repeat(7000)}`))]])] }],
    ['the message of an error in it', { error: new Error('x'.repeat(70_000)) }],
  ])('says of a field that it is too large to show: %s', (_, body) => {
    expect(shown(Object.assign(new Error('no'), { body, status: 1 }))).toMatchObject({ body: '[Large]', status: 1 })
  })

  test('shows a field of some size, also when the same is in it many times', () => {
    const body = Array.from({ length: 1000 }, (_, n) => ({ n, text: 'x'.repeat(20) }))
    expect(shown(Object.assign(new Error('no'), { body })).body).toEqual(body)
  })
})

describe('table()', () => {
  test('has no colours and escapes its cells', async () => {
    const drawn = await table(['run'], [['a\x1b[2J']])
    expect(drawn).toContain('a\\x1b[2J')
    expect(drawn).not.toContain('\x1b')
  })
})

describe('formatBytes()', () => {
  test.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [1_234_567, '1.2 MB'],
    [5e15, '5000.0 TB'],
  ])('writes %d as %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text)
  })
})

describe('printJson() and printAll()', () => {
  /** What reaches stdout, write by write. */
  async function written(print: () => Promise<void>) {
    const texts: string[] = []
    const write = vi.spyOn(process.stdout, 'write').mockImplementation(((text: string, done: () => void) => {
      texts.push(text)
      done()
      return true
    }) as never)
    await print().finally(() => write.mockRestore())
    return texts
  }

  test('write what no string may hold bit by bit', async () => {
    const long = 'x'.repeat(2 ** 16)
    const failures = Array.from({ length: 20 }, (_, index) => ({ index, reason: new Error(long) }))
    for (const texts of [
      await written(() => printJson({ runId: 'r', failures })),
      await written(() => printAll(failures.map(({ reason }) => reason.message))),
    ]) {
      expect(texts.length).toBeGreaterThanOrEqual(20)
      expect(Math.max(...texts.map(({ length }) => length))).toBeLessThan(4 * 2 ** 16)
    }
  })

  test('printJson() writes what JSON.stringify gives, in a line', async () => {
    const plain = fc.dictionary(fc.string(), fc.oneof(fc.jsonValue(), fc.constant(undefined), fc.array(fc.constant(undefined))))
    await fc.assert(
      fc.asyncProperty(plain, async (object) => {
        expect((await written(() => printJson(object))).join('')).toBe(`${escapeJson(JSON.stringify(object))}\n`)
      }),
    )
  })
})
