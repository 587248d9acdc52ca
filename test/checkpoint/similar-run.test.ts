import { describe, expect, test } from 'vitest'
import type { RunIdentity } from '../../src/checkpoint/identity/fingerprint.ts'
import { type Command, sayHere } from '../../src/cli/ways-on.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/store/store.ts'
import type { Events, Json } from '../../src/types.ts'
import { wordsIn } from '../../src/wording.ts'
import { failing, IDENTITY, open, outcomes, rejection, virtualClock } from './fixture.ts'

const SMALL: RunIdentity = { ...IDENTITY, items: { kind: 'array', count: 3, digest: 'd' } }

interface Earlier {
  readonly fulfilled: number[]
  readonly rejected?: number[]
  readonly hasFailed?: boolean
  readonly identity?: RunIdentity
  readonly command?: Json
  readonly taskDigest?: string
}

async function record(store: Store, runId: string, { fulfilled, rejected = [], hasFailed = false, ...what }: Earlier) {
  const session = await open(store, { runId, identity: SMALL, ...what })
  if (fulfilled.length > 0) session.record(outcomes(fulfilled))
  if (rejected.length > 0) session.record(failing(...rejected.map((index) => rejection(index, new Error('bad')))))
  await session.close(hasFailed)
}

const COMPLETE: Earlier = { fulfilled: [0, 1, 2] }

/** What a new run under a derived name is warned of. */
async function begin(store: Store, given: Partial<Parameters<typeof open>[1]> = {}): Promise<Events['warning'][]> {
  const session = await open(store, { runId: 'new', isDerived: true, identity: SMALL, ...given })
  await session.close()
  return session.events.filter(({ event }) => event === 'warning').map(({ payload }) => payload as Events['warning'])
}

const messageOfOne = async (store: Store, given?: Partial<Parameters<typeof open>[1]>) => {
  const warnings = await begin(store, given)
  expect(warnings).toMatchObject([{ code: 'SIMILAR_RUN' }])
  return warnings[0] as Events['warning']
}

/** Names on both sides of the middle, so that the order of names finds nothing by chance. */
const names = (count: number) => Array.from({ length: count }, (_, n) => `${n % 2 === 0 ? 'a' : 'z'}${n}`)

describe('a new run beside many of the same task', () => {
  test.each(['first', 'last'])('is told of the unfinished one that was begun %s of forty', async (place) => {
    const store = memoryStore()
    const begun = names(39)
    for (const runId of place === 'first' ? ['m', ...begun] : [...begun, 'm'])
      await record(store, runId, runId === 'm' ? { fulfilled: [0] } : COMPLETE)
    expect((await messageOfOne(store)).message).toMatch(/'m' of the same task is unfinished \(1 of 3 items\)/)
  })

  test('is told of the newest of those that are unfinished, and of no complete, begun or other one', async () => {
    const store = memoryStore()
    const clock = virtualClock()
    const task = { module: 'other.js', export: 'default' }
    for (const [runId, earlier] of [
      ['m', { fulfilled: [0] }],
      ['z', { fulfilled: [0, 1] }],
      ['a', COMPLETE],
      ['b', { fulfilled: [] }],
      ['c', { fulfilled: [0], identity: { ...SMALL, task } }],
    ] as const) {
      clock.time += 1000
      const session = await open(store, { runId, identity: SMALL, clock, ...('identity' in earlier ? earlier : {}) })
      if (earlier.fulfilled.length > 0) session.record(outcomes([...earlier.fulfilled]))
      await session.close()
    }
    expect((await messageOfOne(store)).message).toContain("run 'z' of the same task is unfinished (2 of 3 items)")
  })

  test('looks at no more of them once that took a tenth of a second', async () => {
    const inner = memoryStore()
    for (const runId of names(100)) await record(inner, runId, COMPLETE)
    const clock = virtualClock()
    const asked = new Set<string>()
    const get: Store['get'] = (key, range) => {
      asked.add(key.split('/', 1)[0] as string)
      clock.time += 10
      return inner.get(key, range)
    }
    expect(await begin({ ...inner, get }, { clock })).toEqual([])
    expect(asked.size).toBeGreaterThan(4)
    expect(asked.size).toBeLessThan(16)
  })

  test('believes no manifest that names a run in another place', async () => {
    const inner = memoryStore()
    await record(inner, 'real', { fulfilled: [0] })
    const store = memoryStore()
    for (const { key } of await inner.list(''))
      await store.put(key.replace('real', 'moved'), (await inner.get(key)) as Uint8Array)
    expect(await begin(store)).toEqual([])
  })
})

describe('a new run of a command', () => {
  const ITEMS = { kind: 'array', count: 3, digest: 'e' } as const
  test.each<[string, string, string, RunIdentity['items'], RunIdentity['items'], boolean]>([
    ['of another file', 'a.csv', 'b.csv', ITEMS, SMALL.items, false],
    ['of another file, both keyed', 'a.csv', 'b.csv', { kind: 'keyed' }, { kind: 'keyed' }, false],
    ['of the same file by a new name', 'a.csv', 'b.csv', ITEMS, ITEMS, true],
    ['of a file that changed', 'a.csv', 'a.csv', ITEMS, SMALL.items, true],
    ['of a keyed file, from another directory', 'data/a.csv', 'a.csv', { kind: 'keyed' }, { kind: 'keyed' }, true],
  ])('%s', async (_, before, now, recorded, given, isTold) => {
    const store = memoryStore()
    const command = (input: string) => ({ task: 't.js', input, flags: {} })
    await record(store, 'mine', { fulfilled: [0], identity: { ...SMALL, items: recorded }, command: command(before) })
    const warnings = await begin(store, { identity: { ...SMALL, items: given }, command: command(now) })
    expect(warnings.map(({ code }) => code)).toEqual(isTold ? ['SIMILAR_RUN'] : [])
  })
})

test('a run that a live session is at work on is no run to go on with', async () => {
  const store = memoryStore()
  const session = await open(store, { runId: 'mine', identity: SMALL })
  session.record(outcomes([0]))
  await session.flush()
  expect(await begin(store)).toEqual([])
  await session.close()
  expect((await messageOfOne(store, { runId: 'newer' })).message).toContain(
    "run 'mine' of the same task is unfinished (1 of 3 items)",
  )
})

describe('an earlier run that failed', () => {
  test('is told of though every item has settled', async () => {
    const store = memoryStore()
    await record(store, 'mine', { fulfilled: [0, 2], rejected: [1], hasFailed: true })
    const { message } = await messageOfOne(store)
    expect(message).toContain("run 'mine' of the same task failed (3 of 3 items settled, 1 of them failures): ")
  })

  test('is not told of when its failures were tolerated', async () => {
    const store = memoryStore()
    await record(store, 'mine', { fulfilled: [0, 2], rejected: [1] })
    expect(await begin(store)).toEqual([])
  })
})

describe('the way on to the earlier run', () => {
  const RUN: Command = { by: 'run', runId: 'new', directory: 'runs', input: 'in.jsonl', flags: {} }
  const other = (changed: Partial<RunIdentity>) => ({ identity: { ...SMALL, ...changed } })
  const items = { kind: 'array', count: 4, digest: 'e' } as const
  const DIFFERENT =
    "they differ in number of items, contents of the items (their digest). To go on with it, use 'pawl resume mine"
  test.each<[string, Json | undefined, Partial<Parameters<typeof open>[1]>, string, string]>([
    [
      'only the name differs',
      undefined,
      {},
      "task and items are the same, only the name of the run differs. To go on with it, give runId: 'mine'",
      'task and items are the same, only the name of the run differs. To go on with it, give --run-id mine',
    ],
    [
      'only the name differs from that of a command',
      { task: 't.js' },
      {},
      "task and items are the same, only the name of the run differs. To go on with it, give runId: 'mine'",
      "task and items are the same, only the name of the run differs. To go on with it, give --run-id mine, or use 'pawl resume mine --checkpoint runs'",
    ],
    [
      'only the name differs, and the task is in a file',
      undefined,
      { taskDigest: 'f' },
      "task and items are the same, only the name of the run differs. To go on with it, give runId: 'mine'",
      'task and items are the same, only the name of the run differs. To go on with it, give --run-id mine',
    ],
    [
      'another config',
      undefined,
      other({ config: 1 }),
      "they differ in 'config'. To go on with it, put that back as it was and give runId: 'mine'",
      'they differ in --config. To go on with it, run the program that began it',
    ],
    [
      'other items than those of a command',
      { task: 't.js' },
      other({ items }),
      `${DIFFERENT}'; where items come and go, give 'runId' and 'key' from the start`,
      `${DIFFERENT} --checkpoint runs'; where items come and go, give --run-id and --key from the start`,
    ],
  ])('%s', async (_, command, given, ofProgram, ofCommand) => {
    const store = memoryStore()
    const taskDigest = given?.taskDigest
    await record(store, 'mine', {
      fulfilled: [0],
      ...(command === undefined ? {} : { command }),
      ...(typeof taskDigest === 'string' ? { taskDigest } : {}),
    })
    const warning = await messageOfOne(store, given)
    const lead = "Starting run 'new', though run 'mine' of the same task is unfinished (1 of 3 items): "
    expect(warning.message).toBe(lead + ofProgram)
    expect(sayHere(wordsIn(warning), RUN)).toBe(lead + ofCommand)
  })
})
