import type { Clock } from '../../src/clock.ts'
import type { Dispatch, RunContext } from '../../src/stages/stage.ts'
import type { Chunk, Events, FailureKind, Outcomes, Rejection } from '../../src/types.ts'

/** The value of every item's success: what it was dispatched as. */
export type Value = string

/** What an attempt comes to: nothing or undefined is a success, an error a failure of kind `error`. */
export type Attempt = Error | { kind: FailureKind; reason: Error } | undefined

/** Time by the global timers, which vi.useFakeTimers() replaces for opossum and for this clock alike. */
export const globalClock: Clock = {
  now: () => performance.now(),
  today: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        clearTimeout(timer)
        reject(signal?.reason)
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, ms)
      signal?.addEventListener('abort', onAbort, { once: true })
    }),
  random: () => 0.5,
}

/** Sleeps end at once; `slept` tells how long they were meant to be. */
export function instantClock(random = 0.5): Clock & { slept: number[] } {
  const slept: number[] = []
  return {
    ...globalClock,
    slept,
    sleep: async (ms, signal) => {
      signal?.throwIfAborted()
      slept.push(ms)
    },
    random: () => random,
  }
}

/** A chunk of the items `item 0`, `item 1`, … with the given indices. */
export function chunkOf(indices: readonly number[], more: Partial<Chunk<string>> = {}): Chunk<string> {
  return { items: indices.map((index) => `item ${index}`), indices: Uint32Array.from(indices), ...more }
}

/** A context that notes down all that a stage does to it. */
export function fakeRun(clock: Clock) {
  const drain = new AbortController()
  const events: { [E in keyof Events]?: Events[E][] } = {}
  const settled: Outcomes<string, Value>[] = []
  const ends: Error[] = []
  const resting = new Set<Chunk<string>>()
  const aside: number[][] = []
  const context: RunContext<string, Value> = {
    draining: drain.signal,
    clock,
    emit: (event, payload) => {
      const seen = (events[event] ?? []) as unknown[]
      seen.push(payload)
      Object.assign(events, { [event]: seen })
    },
    settle: (outcomes) => settled.push(outcomes),
    setAside: async (chunk) => void aside.push([...chunk.indices]),
    rest: async (chunk, wait) => {
      resting.add(chunk)
      try {
        return await wait()
      } finally {
        resting.delete(chunk)
      }
    },
    lend: (answer) => answer,
    fail: (error) => {
      ends.push(error)
      drain.abort(error)
    },
  }
  return { context, drain: () => drain.abort(new Error('drained')), events, settled, aside, ends, resting }
}

/** An engine that asks `outcomeOf` what becomes of each item; attempts, crashes and times go on from the chunk's histories. */
export function fakeEngine(outcomeOf: (index: number, attempt: number) => Attempt) {
  const dispatched: Chunk<string>[] = []
  const dispatch: Dispatch<string, Value> = async (chunk) => {
    dispatched.push(chunk)
    return answer(chunk, outcomeOf)
  }
  return { dispatch, dispatched, indices: () => dispatched.map((chunk) => [...chunk.indices]) }
}

/** What the engine answers; failures in descending order, as no stage may rely on one. */
export function answer(chunk: Chunk<string>, outcomeOf: (index: number, attempt: number) => Attempt): Outcomes<string, Value> {
  const rows = Array.from(chunk.indices, (index, i) => {
    const past = chunk.histories?.get(index)
    const attempts = (past?.attempts ?? 0) + 1
    const result = outcomeOf(index, attempts)
    const failure = result instanceof Error ? { kind: 'error' as const, reason: result } : result
    return { index, item: chunk.items[i] as string, key: chunk.keys?.[i], past, attempts, failure }
  })
  const good = rows.filter((it) => !it.failure)
  const rejected = rows.flatMap(({ index, item, key, past, attempts, failure }): Rejection<string>[] => {
    if (!failure) return []
    const times = { firstFailedAt: past?.firstFailedAt ?? 1000 + index, lastFailedAt: 2000 }
    return [{ index, item, ...(key !== undefined && { key }), ...failure, attempts, crashes: past?.crashes ?? 0, ...times }]
  })
  const batch = {
    indices: Uint32Array.from(good, (it) => it.index),
    attempts: Uint32Array.from(good, (it) => it.attempts),
    values: good.map((it) => it.item.toUpperCase()),
  }
  return { fulfilled: good.length > 0 ? [batch] : [], rejected: rejected.reverse() }
}

/** Every item that settled, with its attempts: `3: ok 2` or `3: error 2`, in index order; an item settled twice is there twice. */
export function summary(...all: readonly Outcomes<string, Value>[]): string[] {
  const good = all.flatMap(({ fulfilled }) =>
    fulfilled.flatMap(({ indices, attempts }) =>
      Array.from(indices, (index, i) => ({ index, text: `ok ${attempts?.[i] ?? 1}` })),
    ),
  )
  const bad = all.flatMap(({ rejected }) => rejected.map(({ index, kind, attempts }) => ({ index, text: `${kind} ${attempts}` })))
  return [...good, ...bad].sort((a, b) => a.index - b.index).map(({ index, text }) => `${index}: ${text}`)
}
