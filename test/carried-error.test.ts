import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { packError, unpackError } from '../src/carried-error.ts'

const carry = (thrown: unknown) => unpackError(structuredClone(packError(thrown))) as Error & Record<string, any>

describe('packError() and unpackError()', () => {
  test('give back name, message, stack, cause and own fields', () => {
    const error = Object.assign(new RangeError('out of it', { cause: new TypeError('why') }), { code: 'E_X', deep: { n: [1n] } })
    const carried = carry(error)
    expect(carried).toBeInstanceOf(RangeError)
    expect(carried).toMatchObject({ name: 'RangeError', message: 'out of it', code: 'E_X', deep: { n: [1n] } })
    expect(carried.stack).toBe(error.stack)
    expect(carried.cause).toBeInstanceOf(TypeError)
    expect(Object.keys(carried)).toEqual(['code', 'deep'])
  })

  test.each<[string, unknown]>([
    ['of messages', ['name is required']],
    ['by field', { name: { message: 'is required' } }],
    ['of objects', [{ path: '/a' }, { path: '/b' }]],
    ['of errors and others', [new Error('a'), 'b']],
    ['of none', []],
  ])('give back a field `errors` %s as it is', (_, errors) => {
    const carried = carry(Object.assign(new TypeError('x'), { errors }))
    expect(carried).toBeInstanceOf(TypeError)
    expect(carried.errors).toEqual(errors)
    expect(Object.keys(carried)).toEqual(['errors'])
  })

  test('give back what a SuppressedError is about, and else no field that does not show', () => {
    const hidden = (value: unknown) => ({ value, enumerable: false, writable: true, configurable: true })
    const secret = { password: hidden('x'), error: hidden('y') }
    expect(Object.keys(carry(Object.defineProperties(new Error('rejected'), secret)))).toEqual([])
    const own = { ...secret, error: hidden(new RangeError('first')), suppressed: hidden(new TypeError('second')) }
    for (const carried of [
      carry(Object.defineProperties(new Error('x'), own)),
      carry(carry(Object.defineProperties(new Error('x'), own))),
    ]) {
      expect(Object.keys(carried)).toEqual(['error', 'suppressed'])
      expect([carried.error, carried.suppressed]).toEqual([new RangeError('first'), new TypeError('second')])
    }
  })

  test('give back the issues of a ZodError, which do not show among its fields', () => {
    const hidden = (value: unknown) => ({ value, enumerable: false })
    const issues = [{ code: 'invalid_type', path: ['age'], message: 'expected number' }]
    const given = Object.defineProperties(new Error('[…]'), { issues: hidden(issues), _zod: hidden({ def: issues }) })
    for (const carried of [carry(given), carry(carry(given))]) expect({ ...carried }).toEqual({ issues })
    expect({ ...carry(Object.defineProperties(new Error('x'), { issues: hidden('secret') })) }).toEqual({})
  })

  test('give back a URL in a field as its text, as structured clone leaves nothing of it or refuses it', () => {
    const error = Object.assign(new Error('unreachable'), { url: new URL('https://example.com/a?b'), code: 'E_NET' })
    expect({ ...carry(error) }).toEqual({ url: 'https://example.com/a?b', code: 'E_NET' })
  })

  test('give back fields that are errors whole, as deep as causes, and no more of them than of `errors`', () => {
    const original = Object.assign(new TypeError('duplicate', { cause: new RangeError('why') }), {
      code: '23505',
      detail: 'id 7',
    })
    const query = Object.assign(new Error('insert'), { original, code: new Error('no code'), sql: 'insert 7' })
    for (const carried of [carry(query), carry(carry(query))]) {
      expect(carried).toMatchObject({ message: 'insert', sql: 'insert 7', code: { message: 'no code' } })
      expect(carried.original).toBeInstanceOf(TypeError)
      expect(carried.original).toMatchObject({ name: 'TypeError', code: '23505', detail: 'id 7', cause: new RangeError('why') })
      expect(carried.original.stack).toBe(original.stack)
    }
    let one: Error = original
    for (let depth = 0; depth < 12; depth++) one = Object.assign(new Error('x'), { parent: one, original: one })
    let count = 0
    for (const waiting = [carry(one)]; waiting.length > 0; count++) {
      const { parent, original } = waiting.pop() as Error & Record<string, any>
      waiting.push(...[parent, original].filter((it) => it !== undefined))
    }
    expect(count).toBe(1001)
    const many = Object.fromEntries(Array.from({ length: 1100 }, (_, n) => [`e${n}`, new Error(`no ${n}`)]))
    expect(Object.keys(carry(Object.assign(new Error('x'), many)))).toHaveLength(1000)
  })

  test('leave out fields that lead back to an error they lie in, which many errors of one may', () => {
    const all = new AggregateError([], 'all')
    all.errors = Array.from({ length: 300 }, (_, n) =>
      Object.assign(new Error(`no ${n}`), { parent: all, next: new Error('next') }),
    )
    const carried = carry(Object.assign(all, { self: all })) as AggregateError
    expect(Object.keys(carried)).not.toContain('self')
    expect(carried.errors.map(({ message, parent, next }) => [message, parent, next.message])).toEqual(
      Array.from({ length: 300 }, (_, n) => [`no ${n}`, undefined, 'next']),
    )
  })

  test('give back errors of errors as these, whatever their class is', () => {
    for (const error of [
      new AggregateError([new RangeError('a')], 'x'),
      Object.assign(new Error('x'), { errors: [new RangeError('a')] }),
    ]) {
      const { name, errors } = carry(error)
      expect(name).toBe(error.name)
      expect(errors).toHaveLength(1)
      expect(errors[0]).toBeInstanceOf(RangeError)
    }
    expect(carry(new AggregateError([], 'x'))).toMatchObject({ name: 'AggregateError', errors: [] })
    expect(carry(new AggregateError([5], 'x')).errors[0]).toMatchObject({ cause: 5 })
  })

  test('say how many errors of an error are left out, the second time too', () => {
    const many = (count: number) => Array.from({ length: count }, (_, n) => new Error(`no ${n}`))
    const last = (error: any) => [error.errors.length, error.errors.at(-1).message]
    expect(last(carry(new AggregateError(many(1000))))).toEqual([1000, 'no 999'])
    expect(last(carry(new AggregateError(many(1001))))).toEqual([1001, 'no 1000'])
    const cut = [1001, '7 more errors are left out: 1000 are carried']
    expect(last(carry(new AggregateError(many(1007))))).toEqual(cut)
    expect(last(carry(carry(new AggregateError(many(1007)))))).toEqual(cut)
    const nested = () => carry(new AggregateError([new AggregateError(many(1500)), ...many(3)]))
    for (const { errors } of [nested(), carry(nested())]) {
      expect(last(errors[0])).toEqual([1000, '501 more errors are left out: 1000 are carried'])
      expect(errors.at(-1).message).toBe('3 more errors are left out: 1000 are carried')
    }
  })

  test('end an error that lies in itself many times', () => {
    const error = new AggregateError([], 'x')
    error.errors = [error, error, error, error]
    error.cause = error
    const count = (carried: any): number =>
      1 + [carried.cause, ...(carried.errors ?? [])].reduce((sum, it) => sum + (it ? count(it) : 0), 0)
    expect(count(carry(error))).toBeGreaterThan(1000)
    expect(count(carry(error))).toBeLessThan(10_000)
  })

  test('tell a missing cause from an undefined one', () => {
    expect('cause' in carry(new Error('none'))).toBe(false)
    expect('cause' in carry(new Error('given', { cause: undefined }))).toBe(true)
  })

  test('end a chain of causes that leads back to itself', () => {
    const [a, b] = [new Error('a'), new Error('b')]
    a.cause = b
    b.cause = a
    let depth = 0
    for (let error: any = carry(a); error instanceof Error; error = error.cause) depth++
    expect(depth).toBeLessThanOrEqual(20)
    expect(depth).toBeGreaterThan(2)
  })

  test('leave out fields and causes that are too deep for whoever reads them, and keep the rest', () => {
    const nested = JSON.parse(`${'['.repeat(1000)}${']'.repeat(1000)}`)
    const carried = carry(Object.assign(new Error('x', { cause: nested }), { nested, code: 'E_X', map: new Map([[1, nested]]) }))
    expect(Object.keys(carried)).toEqual(['code'])
    expect(carried.cause).toMatch(/Array/)
    expect(carry(nested)).toMatchObject({ message: expect.stringMatching(/^The task threw .*, which is not an Error$/) })
  })

  test('keep a field called __proto__ data', () => {
    const error = Object.defineProperty(new Error('x'), '__proto__', { value: { polluted: true }, enumerable: true })
    const carried = carry(error)
    expect(carried.polluted).toBeUndefined()
    expect(carried).toBeInstanceOf(Error)
  })

  test('make an Error of anything that can be thrown', () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true }), (thrown) => {
        const carried = carry(thrown)
        expect(carried).toBeInstanceOf(Error)
        expect(carried.cause).toEqual(structuredClone(thrown))
        expect(carried.message).toContain('not an Error')
      }),
    )
  })

  test('survive hostile errors', () => {
    const hostile = new Proxy(new Error('proxied'), {
      get(target, name) {
        if (name === 'stack') throw new Error('no stack for you')
        return Reflect.get(target, name)
      },
    })
    expect(carry(hostile).message).toBe('proxied')
    const trap = () => {
      throw new Error('nothing for you')
    }
    expect(carry(new Proxy(new Error('closed'), { ownKeys: trap, getOwnPropertyDescriptor: trap })).message).toBe('closed')
    expect(carry(() => {})).toBeInstanceOf(Error)
    expect(carry(Symbol('s')).message).toContain('Symbol(s)')
    expect(carry(Object.assign(new Error(), { name: 5, message: {} }))).toMatchObject({ name: 'Error', message: '' })
  })

  describe('whose stack comes with them', () => {
    const { stackTraceLimit, prepareStackTrace } = Error
    afterEach(() => {
      Object.defineProperty(Error, 'stackTraceLimit', { value: stackTraceLimit, writable: true, configurable: true })
      Error.prepareStackTrace = prepareStackTrace
    })
    const packed = packError(new AggregateError([new Error('one')], 'both', { cause: new TypeError('why') }))

    test('are made without looking where, and errors made after them have a stack', () => {
      const noted: number[] = []
      Error.prepareStackTrace = (error, frames) => `${noted.push(frames.length)} ${error.message}`
      expect(unpackError(packed).stack).toBe(packed.stack)
      expect(noted.filter((frames) => frames > 0)).toEqual([])
      expect(Error.stackTraceLimit).toBe(stackTraceLimit)
      expect(new Error('later').stack).toMatch(/ later$/)
      expect(noted.at(-1)).toBeGreaterThan(0)
    })

    test.each([
      ['fixed', { value: 10, writable: false, configurable: true }],
      ['watched', { get: () => 10, configurable: true }],
    ])('are made also where the length of stacks is %s', (_, limit) => {
      Object.defineProperty(Error, 'stackTraceLimit', limit)
      const error = unpackError(packed) as AggregateError
      expect([error.message, error.stack, (error.cause as Error).message]).toEqual(['both', packed.stack, 'why'])
      expect(error.errors.map(({ message }) => message)).toEqual(['one'])
      expect(Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')).toMatchObject(limit)
    })
  })
})
