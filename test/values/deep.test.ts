import { Worker } from 'node:worker_threads'
import { describe, expect, test } from 'vitest'
import { MAX_NESTING } from '../../src/nesting.ts'
import { loadCodec } from '../../src/values/codec.ts'

const wrapped = (wrap: (value: unknown) => unknown) => (depth: number) => {
  let value: unknown = 'core'
  for (let level = 0; level < depth; level++) value = wrap(value)
  return value
}

/** Nodes of a list that is `depth` deep, its last first, so that whoever looks at them in order finds each level known. */
const listed = (depth: number) => {
  const nodes: { next: unknown }[] = [{ next: 0 }]
  while (nodes.length < depth) nodes.push({ next: nodes[nodes.length - 1] })
  return nodes
}

const JSON_KINDS: [string, (depth: number) => unknown][] = [
  ['arrays', wrapped((it) => [it])],
  ['records', wrapped((it) => ({ a: 1, it, b: null }))],
]

const KINDS: [string, (depth: number) => unknown][] = [
  ...JSON_KINDS,
  ['objects without prototype', wrapped((it) => Object.assign(Object.create(null), { it }))],
  ['values of maps', wrapped((it) => new Map([[1, it]]))],
  ['keys of maps', wrapped((it) => new Map([[it, 1]]))],
  ['sets', wrapped((it) => new Set([it]))],
  ['arrays with a name', wrapped((it) => Object.assign([1], { it }))],
  ['sparse arrays', wrapped((it) => Object.assign([], { 9: it }))],
  ['causes of causes', (depth) => wrapped((it) => new Error('e', { cause: it }))(depth)],
  ['a cycle', (depth) => [wrapped((it) => [it])(depth - 1), listed(2)]],
]

describe.each(['msgpack', 'json'] as const)('the %s codec', async (format) => {
  const codec = await loadCodec(format)
  const kinds = format === 'json' ? JSON_KINDS : KINDS.filter(([name]) => name !== 'causes of causes')

  test.each(kinds)(`holds %s ${MAX_NESTING} deep, and refuses one level more`, (_, make) => {
    const values = [1, make(MAX_NESTING), make(MAX_NESTING + 1), 'two']
    const { bytes, refused } = codec.encode(values, (at) => `item ${at + 10}`)
    expect(codec.decode(bytes)).toHaveLength(3)
    expect(refused.map(({ at }) => at)).toEqual([2])
    expect(refused[0]?.error).toMatchObject({ code: 'ERR_PAWL_SERIALIZATION', path: '' })
    expect(refused[0]?.error.message).toMatch(
      /^Cannot record the result of item 12: expected .*, got one nested more than 1000 levels deep\. Return it flatter, /,
    )
  })

  test('refuses what is deep in one of its places only', () => {
    const deep = listed(2 * MAX_NESTING)
    expect(codec.encode([{ head: deep.at(-1), deep }]).refused).toHaveLength(1)
    // The last first: for V8 each is known when the next one names it. JSON knows nothing, and writes it all again.
    expect(codec.encode([deep]).refused).toHaveLength(format === 'json' ? 1 : 0)
  })

  test('holds what is long and not deep', () => {
    const values = [
      Array.from({ length: 1_000_000 }, (_, at) => ({ at })),
      Object.fromEntries(listed(9).map((_, at) => [at, []])),
    ]
    expect(codec.encode(values).refused).toEqual([])
  })
})

test('msgpack holds causes and cycles of any length, which V8 does not go down into', async () => {
  const codec = await loadCodec('msgpack')
  const ring: { next: unknown }[] = listed(MAX_NESTING)
  ;(ring[0] as { next: unknown }).next = ring.at(-1)
  const { bytes, refused } = codec.encode([wrapped((it) => new Error('e', { cause: it }))(MAX_NESTING * 2), ring.at(-1)])
  expect(refused).toEqual([])
  let [error, node] = codec.decode(bytes) as [Error, { next: unknown }]
  for (let level = 1; level < MAX_NESTING * 2; level++) error = error.cause as Error
  expect(error.cause).toBe('core')
  const first = node
  for (let level = 0; level < MAX_NESTING; level++) node = node.next as { next: unknown }
  expect(node).toBe(first)
})

test.each(['msgpack', 'json'] as const)(
  'what a worker packed as %s is read on a stack of 0.85 MB, of which the main thread has 1',
  async (format) => {
    const codec = await loadCodec(format)
    const values = (format === 'json' ? JSON_KINDS : KINDS).map(([, make]) => make(MAX_NESTING))
    const { bytes, refused } = codec.encode(values)
    expect(refused).toEqual([])
    const reader = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(${JSON.stringify(new URL('../../build/values/codec.js', import.meta.url))})
      .then(({ loadCodec }) => loadCodec(workerData.format))
      .then((codec) => parentPort.postMessage(codec.decode(workerData.bytes).length))`
    const worker = new Worker(reader, { eval: true, workerData: { format, bytes }, resourceLimits: { stackSizeMb: 0.85 } })
    const count = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
    await worker.terminate()
    expect(count).toBe(values.length)
  },
)
