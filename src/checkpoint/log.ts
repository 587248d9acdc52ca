import type { Clock } from '../clock.ts'
import { CheckpointWriteError } from '../errors.ts'
import type { Log, Store } from '../store/store.ts'
import type { Emit } from '../types.ts'
import { type Encoder, type Entry, encodeEntries } from './entries.ts'

/** Where the log of a session goes, and when. Durations in milliseconds. */
export interface LogOptions {
  readonly store: Store
  readonly runId: string
  readonly writer: string
  readonly encoder: Encoder
  readonly every: number
  readonly interval: number
  readonly durability: 'fsync' | 'none'
  readonly onError: 'fail' | 'warn'
  readonly clock: Clock
  readonly emit: Emit
  /** Items durable before this session. */
  readonly recorded: number
  fail(error: Error): void
  /** The claim on the run; see lease.ts. */
  readonly lease: { isStale(): boolean; renew(): Promise<void> }
  /** Called when a segment will not grow any more. */
  onClosed(name: string, size: number): void
}

/** The segments of one session. */
export interface RunLog {
  readonly stats: { checkpoints: number; bytesWritten: number }
  readonly backlog: Promise<void> | undefined
  /** Adds entries that need not be durable, and sends them off at once unless a write is under way. */
  note(entry: Entry): void
  /** Adds entries to be made durable with the next flush. */
  add(entries: readonly Entry[]): void
  flush(): Promise<void>
  /** Flushes, with `last` as the last entry if there is a segment at all, and lets go of the segment. */
  close(last: Entry): Promise<void>
}

/**
 * A segment that has reached this many bytes is followed by a new one. Smaller, and long runs have many files to list and
 * open (100 GB: 400); larger, and damage to a directory entry costs more, and the bound of 1 GiB for an object comes near
 * for segments whose last frame is large.
 */
const SEGMENT_BYTES = 2 ** 28

/** More bytes than this waiting to be written is a backlog: about what a disk takes in half a second. */
const BACKLOG_BYTES = 2 ** 26

/** How long a failing store is tried again, and the shortest and longest wait between tries. */
const PATIENCE = 30_000
const MIN_DELAY = 50
const MAX_DELAY = 2000

type State = 'open' | 'failing' | 'failed' | 'off' | 'closed'

/**
 * Group commit: one write and one sync at a time; what is added meanwhile goes with the next.
 *
 * After a failed write or sync the segment is never touched again, since a later sync of it may succeed without having
 * saved anything: all that is not yet durable is written again to a new one.
 */
export function openLog(options: LogOptions): RunLog {
  const { store, runId, clock, emit, encoder } = options
  const stats = { checkpoints: 0, bytesWritten: 0 }
  const canGrow = store.append !== undefined
  let state: State = 'open'
  let failure: Error | undefined
  let pending: Entry[] = []
  let pendingItems = 0
  let notes: Entry[] = []
  let waitingBytes = 0
  let recorded = options.recorded
  let added = 0
  let durable = 0
  let waiters: { readonly upTo: number; resolve(): void; reject(error: Error): void }[] = []
  let timer: AbortController | undefined
  let isDue = false
  let isPumping = false
  let pumping = Promise.resolve()
  let gate: { readonly promise: Promise<void>; open(): void } | undefined
  let segment: { readonly name: string; readonly log: Log | undefined; size: number; isAcknowledged: boolean } | undefined
  let seq = 0

  const isOver = () => state === 'failed' || state === 'off' || state === 'closed'
  const isFull = () => state === 'failing' || waitingBytes > BACKLOG_BYTES

  function add(entries: readonly Entry[]): void {
    if (isOver() || entries.length === 0) return
    for (const entry of entries) {
      pending.push(entry)
      pendingItems += entry.items
      waitingBytes += entry.bytes
    }
    added += entries.length
    if (pendingItems >= options.every) due()
    else if (timer === undefined) startTimer()
  }

  function note(entry: Entry): void {
    if (isOver()) return
    notes.push(entry)
    if (canGrow) pump()
  }

  function due(): void {
    isDue = true
    pump()
  }

  function startTimer(): void {
    timer = new AbortController()
    clock.sleep(options.interval, timer.signal).then(due, () => {})
  }

  function pump(): void {
    if (!isPumping) pumping = run()
  }

  async function run(): Promise<void> {
    isPumping = true
    while (isPumping) {
      const isFlush = pending.length > 0 && isDue
      const entries = isFlush ? [...notes, ...pending] : notes
      notes = []
      if (isFlush) await flushAll(entries)
      else if (entries.length > 0) await writeNotes(entries)
      isDue = (isDue && pending.length > 0) || pendingItems >= options.every || waiters.some(({ upTo }) => upTo > durable)
      // Before anybody hears that a flush is done: what they note next is to be written at once.
      isPumping = !isOver() && ((pending.length > 0 && isDue) || (notes.length > 0 && canGrow))
      settleWaiters()
    }
  }

  /** What they say is only ever needed when this process dies: not worth waiting or failing for. */
  async function writeNotes(entries: readonly Entry[]): Promise<void> {
    try {
      await write(entries, false)
    } catch {
      await dropSegment()
    }
  }

  async function flushAll(entries: readonly Entry[]): Promise<void> {
    const count = pending.length
    const items = pendingItems
    const bytes = pending.reduce((sum, entry) => sum + entry.bytes, 0)
    pending = []
    pendingItems = 0
    isDue = false
    timer?.abort()
    timer = undefined
    if (items > 0) emit('beforeCheckpoint', { runId, pending: items })
    const start = clock.now()
    const written = await writeDurably(entries)
    if (written === undefined) return
    waitingBytes -= bytes
    durable += count
    recorded += entries.reduce((sum, entry) => sum + entry.fresh, 0)
    if (items > 0) {
      stats.checkpoints++
      emit('afterCheckpoint', { runId, recorded, bytes: written, duration: clock.now() - start })
    }
  }

  /** Resolves with the bytes written; undefined when the store was given up. */
  async function writeDurably(entries: readonly Entry[]): Promise<number | undefined> {
    const start = clock.now()
    for (let tries = 0; ; tries++) {
      try {
        const bytes = await write(entries, true)
        if (state === 'failing') state = 'open'
        return bytes
      } catch (error) {
        await dropSegment()
        state = 'failing'
        if (clock.now() - start >= PATIENCE) return giveUp(error)
        const delay = Math.min(MAX_DELAY, MIN_DELAY * 2 ** tries) * (0.5 + clock.random() / 2)
        await clock.sleep(Math.min(delay, Math.max(start + PATIENCE - clock.now(), 1)))
      }
    }
  }

  async function write(entries: readonly Entry[], isFlush: boolean): Promise<number> {
    // Another process may have taken the run over while this one was stopped, and merged and deleted the segment: what was
    // written to it since would be lost. So nothing goes to, or counts in, a segment of before.
    if (options.lease.isStale()) {
      await options.lease.renew()
      await dropSegment()
    }
    segment ??= await openSegment()
    const opened = segment
    const encoding = encodeEntries(encoder, `${options.writer}-${seq}`, entries, opened.size === 0, isFlush)
    const bytes = encoding instanceof Promise ? await encoding : encoding
    if (opened.log === undefined) await store.put(opened.name, bytes, { durable: options.durability === 'fsync' })
    else {
      await opened.log.write(bytes)
      if (isFlush && options.durability === 'fsync') await opened.log.sync()
    }
    if (isFlush && options.lease.isStale()) throw new Error('the process was stopped while it wrote')
    opened.size += bytes.byteLength
    opened.isAcknowledged ||= isFlush
    stats.bytesWritten += bytes.byteLength
    if (opened.log === undefined || opened.size >= SEGMENT_BYTES) await closeSegment()
    return bytes.byteLength
  }

  async function openSegment() {
    const name = `${runId}/seg/${options.writer}-${seq}.${encoder.form}`
    try {
      return { name, log: await store.append?.(name), size: 0, isAcknowledged: false }
    } catch (error) {
      seq++ // It may be there all the same.
      throw error
    }
  }

  async function closeSegment(): Promise<void> {
    if (segment === undefined) return
    const { name, log, size, isAcknowledged } = segment
    segment = undefined
    seq++
    await log?.close().catch(() => {})
    if (isAcknowledged) options.onClosed(name, size)
  }

  /** Leaves a segment that cannot be trusted to save anything more. What was acknowledged in it stays. */
  async function dropSegment(): Promise<void> {
    if (segment === undefined) return
    const { name, isAcknowledged } = segment
    await closeSegment()
    if (!isAcknowledged) await store.delete(name).catch(() => {})
  }

  function giveUp(cause: unknown): undefined {
    const reason = cause instanceof Error ? cause.message : String(cause)
    const message = `Cannot write the checkpoint of run '${runId}': expected the store to take it within ${PATIENCE / 1000} s, got ${reason}`
    pending = []
    notes = []
    waitingBytes = 0
    if (options.onError === 'warn') {
      state = 'off'
      emit('warning', { code: 'CHECKPOINT_OFF', message: `${message}. Going on without saving` })
    } else {
      state = 'failed'
      failure = new CheckpointWriteError(`${message}. What was saved before is safe: make room, then run again`, { cause })
      options.fail(failure)
    }
    settleWaiters()
  }

  function settleWaiters(): void {
    const ready = waiters.filter(({ upTo }) => isOver() || upTo <= durable)
    waiters = waiters.filter((waiter) => !ready.includes(waiter))
    for (const waiter of ready) failure === undefined ? waiter.resolve() : waiter.reject(failure)
    if (gate === undefined || (isFull() && !isOver())) return
    gate.open()
    gate = undefined
  }

  function flush(): Promise<void> {
    if (failure !== undefined) return Promise.reject(failure)
    if (isOver() || durable === added) return Promise.resolve()
    const promise = new Promise<void>((resolve, reject) => waiters.push({ upTo: added, resolve, reject }))
    due()
    return promise
  }

  async function close(last: Entry): Promise<void> {
    const isAlone = pending.length === 0
    if (!isAlone) add([last])
    try {
      await flush()
      await pumping
      // A clean end that cannot be noted is no reason to fail a run that is saved.
      if (isAlone && (segment !== undefined || seq > 0) && !isOver()) await write([last], true).catch(() => {})
    } finally {
      timer?.abort()
      if (state === 'open' || state === 'failing') state = 'closed'
      await closeSegment()
    }
  }

  return {
    stats,
    note,
    add,
    flush,
    close,
    get backlog() {
      if (isOver() || !isFull()) return undefined
      if (gate === undefined) {
        let open = () => {}
        const promise = new Promise<void>((resolve) => {
          open = resolve
        })
        gate = { promise, open }
      }
      return gate.promise
    },
  }
}
