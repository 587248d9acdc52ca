import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { runInNewContext } from 'node:vm'
import { type Events, execute } from 'pawl'
import { describe, expect, test, vi } from 'vitest'
import arithmetic from '../fixtures/tasks/arithmetic.mjs'
import { counted } from '../fixtures/tasks/counted.mjs'
import { die } from '../fixtures/tasks/deaths.mjs'
import { range, sharedCells } from './calls.ts'

describe('on', () => {
  test.each(['threads', 'inline'] as const)('plan and progress tell how it goes, and progress how it ended: %s', async (mode) => {
    const plans: Events['plan'][] = []
    const told: (Events['progress'] & { at: number })[] = []
    await execute(arithmetic, range(30_000), {
      mode,
      workers: 2,
      on: { plan: (it) => void plans.push(it), progress: (it) => void told.push({ ...it, at: performance.now() }) },
    })
    expect(plans.length).toBeGreaterThan(0)
    expect(plans[0]).toMatchObject({ mode, workers: expect.any(Number), reason: expect.stringMatching(/^Runs /) })
    expect(told.at(-1)).toMatchObject({ done: 30_000, total: 30_000, failed: 0, restored: 0, eta: 0 })
    expect(told.at(-1)?.itemsPerSecond).toBeGreaterThan(0)
    expect(told.every((it, i) => i === 0 || it.done >= (told[i - 1]?.done ?? 0))).toBe(true)
    // The last one comes at the end, whenever that is.
    for (let i = 1; i < told.length - 1; i++) expect((told[i]?.at ?? 0) - (told[i - 1]?.at ?? 0)).toBeGreaterThanOrEqual(99)
  })

  test('progress of an iterable has no total before its end', async () => {
    const told: Events['progress'][] = []
    await execute(arithmetic, new Set(range(5000)), { chunkSize: 10, on: { progress: (it) => void told.push(it) } })
    expect(told[0]).toMatchObject({ total: undefined, eta: undefined })
    expect(told.at(-1)).toMatchObject({ done: 5000, total: 5000 })
  })

  test('progress of nothing is told once', async () => {
    const told: Events['progress'][] = []
    await execute(arithmetic, [], { on: { progress: (it) => void told.push(it) } })
    expect(told).toMatchObject([{ done: 0, total: 0, eta: 0 }])
  })

  test('outcome tells each once, fulfilled or rejected', async () => {
    const outcomes: Events['outcome'][] = []
    const shared = { calls: sharedCells(3), fails: [0, 9] }
    await execute(counted, [10, 11, 12], { maxFailures: 1, shared, on: { outcome: (it) => void outcomes.push(it) } })
    outcomes.sort((a, b) => a.index - b.index)
    expect(outcomes).toEqual([
      { index: 0, key: '0', attempts: 1, restored: false, status: 'fulfilled', value: 20 },
      { index: 1, key: '1', attempts: 1, restored: false, status: 'rejected', kind: 'error', reason: expect.any(RangeError) },
      { index: 2, key: '2', attempts: 1, restored: false, status: 'fulfilled', value: 24 },
    ])
  })

  test('workerExit and drain name what happened', async () => {
    const exits: Events['workerExit'][] = []
    const drains: Events['drain'][] = []
    const shared = { calls: sharedCells(2) }
    const on = {
      workerExit: (it: Events['workerExit']) => void exits.push(it),
      drain: (it: Events['drain']) => void drains.push(it),
    }
    await execute(die, ['exit', 'fine'], { mode: 'threads', maxCrashes: 1, shared, on }).catch(() => {})
    expect(exits).toMatchObject([
      { threadId: expect.any(Number), index: 0, reason: { message: expect.stringContaining('exit code 3') } },
    ])
    expect(exits[0]?.threadId).toBeGreaterThan(0)
    expect(drains).toHaveLength(1)
    expect(drains[0]?.reason).toBeInstanceOf(Error)
  })

  test('workerExit says why pawl ended a worker', async () => {
    const exits: Events['workerExit'][] = []
    const on = { workerExit: (it: Events['workerExit']) => void exits.push(it) }
    const report = await execute(die, ['endlessLoop'], {
      ...{ mode: 'threads', timeout: 50, maxFailures: 1 },
      ...{ shared: { calls: sharedCells(1) }, on },
    })
    expect(report.failures).toMatchObject([{ kind: 'timeout' }])
    expect(exits).toEqual([{ threadId: expect.any(Number), index: 0, reason: report.failures[0]?.reason }])
    expect(exits[0]?.reason).toMatchObject({ code: 'ERR_PAWL_TIMEOUT' })

    const abort = new AbortController()
    const calls = sharedCells(1)
    const run = execute(die, ['endlessLoop'], {
      ...{ mode: 'threads', drainTimeout: 10, signal: abort.signal },
      ...{ shared: { calls }, on },
    })
    const ended = expect(run).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED' })
    await vi.waitFor(() => expect(Atomics.load(calls, 0)).toBe(1), 10_000)
    abort.abort()
    await ended
    expect(exits.slice(1)).toMatchObject([
      { index: undefined, reason: { message: "the worker was ended: what it ran did not end within 'drainTimeout'" } },
    ])
  })

  test('a listener that throws, or rejects, is told once and stops nothing', async () => {
    const warnings: Events['warning'][] = []
    const report = await execute(arithmetic, range(20), {
      chunkSize: 1,
      on: {
        outcome: () => {
          throw new TypeError('listener is broken')
        },
        progress: (async () => {
          throw new Error('listener rejects')
        }) as () => void,
        warning: (it) => void warnings.push(it),
      },
    })
    expect(report).toMatchObject({ status: 'complete', stats: { failed: 0 } })
    await new Promise((resolve) => setImmediate(resolve))
    expect(warnings.map((it) => it.code)).toEqual(['LISTENER_FAILED', 'LISTENER_FAILED'])
    expect(warnings.map((it) => it.message).join()).toMatch(/'outcome' threw TypeError: listener is broken/)
    expect(warnings.map((it) => it.message).join()).toMatch(/'progress' threw Error: listener rejects/)
  })

  test('a listener may throw what has no text', async () => {
    const messages: string[] = []
    const warning = ({ message }: Events['warning']) => void messages.push(message)
    const fails = () => {
      throw Object.create(null)
    }
    const elsewhere: () => Promise<void> = runInNewContext('async () => { throw Object.create(null) }') // Its promise is of another realm.
    for (const outcome of [fails, async () => fails(), elsewhere]) {
      await expect(execute(arithmetic, [1, 2], { on: { outcome, warning } })).resolves.toMatchObject({ status: 'complete' })
    }
    await nextTurn()
    expect(messages).toEqual(Array(3).fill(expect.stringMatching(/'outcome' threw a value of type object that has no text/)))
  })

  test('a warning nobody listens to goes to the process, one that somebody listens to does not', async () => {
    const warned: (Error & { code?: string })[] = []
    const listen = (it: Error) => void warned.push(it)
    process.on('warning', listen)
    try {
      const codes: string[] = []
      await execute(arithmetic, [1], { breaker: true, on: { warning: ({ code }) => void codes.push(code) } })
      await nextTurn()
      expect(codes).toEqual(['BREAKER_IDLE'])
      expect(warned).toEqual([])
      await execute(arithmetic, [1], { breaker: true })
      await nextTurn()
      expect(warned).toMatchObject([{ name: 'PawlWarning', code: 'BREAKER_IDLE', message: expect.stringMatching(/retry: 0/) }])
      await execute(arithmetic, [1], { breaker: true, retry: 1 })
      await execute(arithmetic, [1], { breaker: true, maxFailures: '1%' })
      await nextTurn()
      expect(warned).toHaveLength(1)
    } finally {
      process.off('warning', listen)
    }
  })

  test('a warning listener that throws is told to the process', async () => {
    const warned = new Promise<Error>((resolve) => process.once('warning', resolve))
    await execute(arithmetic, [1], {
      on: {
        outcome: () => {
          throw new Error('first')
        },
        warning: () => {
          throw new Error('second')
        },
      },
    })
    await expect(warned).resolves.toMatchObject({
      name: 'PawlWarning',
      code: 'LISTENER_FAILED',
      message: expect.stringContaining('second'),
    })
  })
})

test('the same events go to diagnostics_channel', async () => {
  const seen: { name: string; message: unknown }[] = []
  const names = ['plan', 'progress', 'outcome', 'retry', 'drain'].map((it) => `pawl:${it}`)
  const listener = (message: unknown, name: string | symbol) => void seen.push({ name: String(name), message })
  for (const name of names) subscribe(name, listener)
  try {
    const shared = { calls: sharedCells(3), fails: [1] }
    await execute(counted, [1, 2, 3], { retry: { retries: 1, minTimeout: 0 }, shared })
    await execute(counted, [1], { signal: AbortSignal.abort('why'), shared }).catch(() => {})
  } finally {
    for (const name of names) unsubscribe(name, listener)
  }
  expect(new Set(seen.map((it) => it.name))).toEqual(new Set(names))
  expect(seen.filter((it) => it.name === 'pawl:outcome')).toHaveLength(3)
  expect(seen.find((it) => it.name === 'pawl:retry')?.message).toMatchObject({ index: 0, attempt: 1, delay: 0 })
  expect(seen.find((it) => it.name === 'pawl:drain')?.message).toEqual({ reason: 'why' })
})
