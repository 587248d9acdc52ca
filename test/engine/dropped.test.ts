import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { findDropped } from '../../src/engine/dropped.ts'

/** One of each class that keeps what it holds from structured clone, by its name. */
const MADE: Record<string, () => object> = {
  URL: () => new URL('https://example.org/'),
  URLSearchParams: () => new URLSearchParams('a=1'),
  Headers: () => new Headers({ a: '1' }),
  Request: () => new Request('https://example.org/'),
  Response: () => new Response('text'),
  FormData: () => new FormData(),
  AbortController: () => new AbortController(),
  AbortSignal: () => new AbortController().signal,
  DOMException: () => new DOMException('no'),
  EventTarget: () => new EventTarget(),
  Event: () => new Event('x'),
  CustomEvent: () => new CustomEvent('x', { detail: 1 }),
  MessageEvent: () => new MessageEvent('x', { data: 1 }),
  BroadcastChannel: () => {
    const channel = new BroadcastChannel('x')
    channel.close()
    return channel
  },
  TextDecoder: () => new TextDecoder(),
  TextEncoder: () => new TextEncoder(),
  TextDecoderStream: () => new TextDecoderStream(),
  TextEncoderStream: () => new TextEncoderStream(),
  CompressionStream: () => new CompressionStream('gzip'),
  DecompressionStream: () => new DecompressionStream('gzip'),
  ReadableStreamDefaultReader: () => new ReadableStream().getReader(),
  ReadableStreamBYOBReader: () => new ReadableStream({ type: 'bytes' }).getReader({ mode: 'byob' }),
  WritableStreamDefaultWriter: () => new WritableStream().getWriter(),
  ByteLengthQueuingStrategy: () => new ByteLengthQueuingStrategy({ highWaterMark: 1 }),
  CountQueuingStrategy: () => new CountQueuingStrategy({ highWaterMark: 1 }),
  Performance: () => performance,
  PerformanceMark: () => performance.mark('x'),
  PerformanceMeasure: () => performance.measure('x'),
  PerformanceObserver: () => new PerformanceObserver(() => {}),
  Crypto: () => crypto,
  SubtleCrypto: () => crypto.subtle,
}

/** What structured clone makes of it. */
function cloneOf(value: object): object | undefined {
  try {
    return structuredClone(value)
  } catch {
    return undefined
  }
}

const isEmptied = (value: object) => {
  const copy = cloneOf(value)
  return copy !== undefined && Object.getPrototypeOf(copy) === Object.prototype
}

const signal = () => new AbortController().signal
class MyController extends AbortController {
  id = 1
}

describe('findDropped()', () => {
  test.each(Object.entries(MADE))(
    'finds what structured clone empties, and leaves to it what it refuses or carries: %s',
    (name, make) => {
      const value = make()
      const got = expect.stringMatching(new RegExp(`^an? ${name}$`))
      expect(findDropped(value)).toEqual(isEmptied(value) ? { path: '', got } : undefined)
    },
  )

  test('finds all of them on Node 20', ({ skip }) => {
    if (!process.version.startsWith('v20.')) skip()
    for (const make of Object.values(MADE)) expect(findDropped(make())).toBeDefined()
  })

  const shared = { list: [1] }
  const cycle: { self?: unknown; late?: unknown } = {}
  cycle.self = cycle
  cycle.late = [cycle, { signal: signal() }]

  test.each<[string, string, unknown]>([
    ['a property', 'a.signal', { a: { signal: signal() } }],
    ['a property that is no name', 'a["b c"]', { a: { 'b c': signal() } }],
    ['an element', '[1].x', [0, { x: signal() }]],
    ['a late element', 'rows[99]', { rows: Array.from({ length: 100 }, (_, at) => (at === 99 ? signal() : { at })) }],
    ['an element behind holes', '[90000000]', Object.assign(new Array(100_000_000), { 90000000: signal() })],
    ['a value of a map', 'get("k")[0]', new Map([['k', [signal()]]])],
    [
      'a key of a map',
      'keys[1].x',
      new Map<unknown, unknown>([
        [1, 2],
        [{ x: signal() }, 3],
      ]),
    ],
    ['a member of a set', 'values[1].get(2)', new Set([1, new Map([[2, signal()]])])],
    ['the cause of an error', 'cause.signal', new Error('no', { cause: { signal: signal() } })],
    ['behind a cycle', 'late[1].signal', cycle],
    ['behind what is there twice', '[2]', [shared, shared, signal()]],
    [
      'a field of an instance',
      'part',
      new (class {
        part = signal()
      })(),
    ],
    [
      'what a getter gives',
      'part',
      {
        get part() {
          return signal()
        },
      },
    ],
    ['an instance of a class made of one', '', new MyController()],
  ])('says where it lies: %s', (_, path, value) => {
    expect(findDropped(value as object)).toMatchObject({ path })
  })

  test.each<[string, () => unknown]>([
    [
      'an instance of a class of the program',
      () =>
        new (class Point {
          x = 1
        })(),
    ],
    [
      'one whose class has the name of another',
      () =>
        new (class Headers {
          x = 1
        })(),
    ],
    ['one that says it is another', () => ({ [Symbol.toStringTag]: 'AbortSignal' })],
    [
      'one that extends what is there to be extended',
      () =>
        new (class Job extends EventTarget {
          id = 1
        })(),
    ],
    ['a field named constructor', () => ({ constructor: AbortSignal })],
    ['a list of its own class', () => class List extends Array<number> {}.from([1, 2, 3])],
    ['what is refused', () => ({ f: () => {}, p: new Proxy({}, {}), w: new WeakMap() })],
    ['what structured clone does not read', () => Object.assign(new Date(), { signal: signal() })],
    ['bytes', () => [new Uint8Array(3), Buffer.from('x'), new SharedArrayBuffer(1)]],
    ['many records', () => Array.from({ length: 1000 }, (_, at) => ({ at, list: [at] }))],
    ['too deep a nesting', () => Array.from({ length: 100_000 }).reduce((inner: unknown) => ({ inner }), 1)],
    [
      'a getter that throws',
      () => ({
        get bad() {
          throw new Error('no')
        },
      }),
    ],
  ])('finds nothing in %s', (_, make) => {
    expect(findDropped(make() as object)).toBeUndefined()
  })

  test('loads nothing: fetch is there only once somebody asks for it', () => {
    const file = new URL('../../src/engine/dropped.ts', import.meta.url).pathname
      .replace('/src/', '/build/')
      .replace('.ts', '.js')
    const program = `
      const { findDropped } = await import(${JSON.stringify(file)})
      class Point { x = new Map([[{ y: [1] }, new Date()]]) }
      findDropped([new Point(), new URL('https://example.org/'), new AbortController()])
      console.log(process.moduleLoadList.filter((it) => it.includes('undici')).length)`
    expect(execFileSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })).toBe('0\n')
  })
})
