import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RunIdentity } from '../../src/checkpoint/identity/fingerprint.ts'
import { atLeisure, createHaste } from '../../src/checkpoint/patience/haste.ts'
import { openSession } from '../../src/checkpoint/session/open.ts'
import type { RecordedRejection, Restored, Session, SessionOptions } from '../../src/checkpoint/session/session.ts'
import { type Clock, systemClock } from '../../src/clock.ts'
import { fileStore } from '../../src/store/file.ts'
import { memoryStore } from '../../src/store/memory.ts'
import type { Log, Store } from '../../src/store/store.ts'
import type { Events } from '../../src/types.ts'

export const IDENTITY: RunIdentity = {
  task: { module: 'task.js', export: 'default' },
  items: { kind: 'array', count: 1_000_000, digest: 'd' },
  config: null,
  key: 'index',
  seed: 0,
  shared: null,
}

/** A session for tests, with what it emitted. */
export interface Opened extends Session {
  readonly events: { event: keyof Events; payload: unknown }[]
  readonly failures: Error[]
}

export async function open(store: Store, options: Partial<SessionOptions> = {}): Promise<Opened> {
  const events: Opened['events'] = []
  const failures: Error[] = []
  const haste = options.haste ?? createHaste(new AbortController().signal, systemClock)
  const session = await openSession({
    store,
    runId: 'run-1',
    identity: IDENTITY,
    taskDigest: null,
    format: 'msgpack',
    compress: 'none',
    every: 1000,
    interval: 1_000_000,
    durability: 'fsync',
    keep: 2,
    onError: 'fail',
    resume: true,
    clock: systemClock,
    haste,
    leisurely: atLeisure(store, haste),
    emit: (event, payload) => void events.push({ event, payload }),
    fail: (error) => void failures.push(error),
    ...options,
  })
  return Object.assign(Object.create(null, Object.getOwnPropertyDescriptors(session)), { events, failures })
}

/** Ends a session as SIGKILL would, as far as the store can see: its claim stays, of a process that is no more. */
export async function abandon(store: Store, session: Session): Promise<void> {
  const key = `${session.manifest.runId}/lease/${session.writer}`
  const claim = JSON.parse(Buffer.from((await store.get(key)) ?? []).toString())
  await store.put(key, Buffer.from(JSON.stringify({ ...claim, processStart: '1' })), { replace: true })
  for (const [name, log] of growing) if (name.includes(session.writer) && growing.delete(name)) await log.close()
}

/** How many calls that change something a session makes at least until it is open. */
const OPENING = 3

/**
 * `store` as a process finds it that is killed at a call that changes something: the `k`-th, from 0, after `open`. That one and
 * those behind it are not answered; `killed` resolves when the first of them is made.
 */
export function killedAt(store: Store, k: number): { readonly store: Store; readonly killed: Promise<void> } {
  let calls = 0
  let die!: () => void
  const killed = new Promise<void>((resolve) => {
    die = resolve
  })
  const guard = <F extends (...given: never[]) => Promise<unknown>>(call: F) =>
    ((...given: Parameters<F>) => {
      if (calls++ < k + OPENING) return call(...given)
      die()
      return new Promise(() => {})
    }) as F
  const { append: _, ...rest } = store
  return { store: { ...rest, put: guard(store.put), delete: guard(store.delete) }, killed }
}

/** Segments of file stores that may still be open: what the system closes when a process is killed. */
const growing = new Map<string, Log>()

export function outcomes(indices: number[], valueOf: (index: number) => unknown = (index) => ({ value: index })) {
  return { fulfilled: [{ indices: Uint32Array.from(indices), values: indices.map(valueOf) }], rejected: [] }
}

export function rejection(index: number, reason: Error, item: unknown = `item ${index}`) {
  return { index, item, kind: 'error' as const, reason, attempts: 1, crashes: 0, firstFailedAt: 1000, lastFailedAt: 2000 }
}

export const failing = (...rejected: ReturnType<typeof rejection>[]) => ({ fulfilled: [], rejected })

export async function readAll(restored: Restored): Promise<{ values: Map<number, unknown>; rejected: RecordedRejection[] }> {
  const values = new Map<number, unknown>()
  const rejected: RecordedRejection[] = []
  for await (const batch of restored.read({ values: true })) {
    for (const { indices, values: column } of batch.fulfilled) {
      indices.forEach((index, at) => {
        if (values.has(index)) throw new Error(`item ${index} was given twice`)
        values.set(index, column?.[at])
      })
    }
    rejected.push(...batch.rejected)
  }
  return { values, rejected }
}

const newDirectory = () => mkdtemp(join(tmpdir(), 'pawl-'))

/** Every kind of store the checkpoint must do with. */
export const STORES: Record<string, () => Promise<Store>> = {
  fileStore: async () => {
    const store = fileStore(await newDirectory())
    const append = async (key: string) => {
      const log = (await store.append?.(key)) as Log
      growing.set(key, log)
      return log
    }
    return { ...store, append }
  },
  memoryStore: async () => memoryStore(),
  'a store without append': async () => {
    const { append: _, ...store } = memoryStore()
    return store
  },
}

export const FORMS = [
  { format: 'msgpack', compress: 'none' },
  { format: 'json', compress: 'none' },
  { format: 'msgpack', compress: 'gzip' },
  { format: 'json', compress: 'gzip' },
] as const

/** Time that passes only when somebody sleeps. */
export function virtualClock(start = 0): Clock & { time: number } {
  const clock = {
    time: start,
    now: () => clock.time,
    today: () => 1_700_000_000_000 + clock.time,
    random: () => 0.5,
    sleep: async (ms: number, signal?: AbortSignal) => {
      if (ms >= 500_000) return new Promise<void>((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)))
      await Promise.resolve()
      clock.time += ms
    },
  }
  return clock
}
