import type { Clock } from '../clock.ts'
import { CheckpointWriteError } from '../errors.ts'
import type { StoredObject } from '../store/store.ts'
import type { Emit } from '../types.ts'
import type { Entry } from './entries.ts'
import { adviseOn, createPatientWrites, GivenUpError, type Haste } from './patient-writes.ts'
import { openSegments, type SegmentOptions } from './segments.ts'

/** Where the log of a session goes, and when. Durations in milliseconds. */
export interface LogOptions extends SegmentOptions {
  readonly every: number
  readonly interval: number
  readonly onError: 'fail' | 'warn'
  readonly clock: Clock
  readonly emit: Emit
  /** Items durable before this session. */
  readonly recorded: number
  readonly haste?: Haste | undefined
  fail(error: Error): void
  /** Called when files of the run were deleted, moved away or replaced while it is at work. */
  onGone(): void
}

/** The segments of one session. */
export interface RunLog {
  readonly stats: { checkpoints: number; bytesWritten: number }
  readonly backlog: Promise<void> | undefined
  /** Of the segments that were left, as `Segments` has them. */
  readonly sizes: readonly number[]
  /** As `Segments` has them; undefined when nothing is recorded any more. */
  readonly acknowledged: readonly StoredObject[] | undefined
  /** Files were found to be gone, which was told. */
  readonly isGoneTold: boolean
  /** Tells of it, unless that was done. */
  tellGone(): void
  /** So many items are on record after all. */
  recount(recorded: number): void
  /** Adds entries that need not be durable, and sends them off at once unless a write is under way. Resolves when they are off. */
  note(entry: Entry): Promise<void>
  /** Adds entries to be made durable with the next flush. */
  add(entries: readonly Entry[]): void
  flush(): Promise<void>
  /**
   * Flushes, with `last` as the last entry if there is a segment at all or it `isNews`, and lets go of the segment. False when it
   * is not in it.
   */
  close(last: Entry, isNews: boolean): Promise<boolean>
}

/** More bytes than this waiting to be written is a backlog: about what a disk takes in half a second. */
const BACKLOG_BYTES = 2 ** 26

/** An entry that need not be durable, and who waits for it to be off. */
interface Note {
  readonly entry: Entry
  resolve(): void
}

type State = 'open' | 'failed' | 'off' | 'closed'

/**
 * Group commit: one write and one sync at a time; what is added meanwhile goes with the next.
 *
 * After a failed write or sync the segment is never touched again, since a later sync of it may succeed without having
 * saved anything: all that is not yet durable is written again to a new one.
 */
export function openLog(options: LogOptions): RunLog {
  const { runId, clock, emit } = options
  const segments = openSegments(options)
  const stats = { checkpoints: 0, bytesWritten: 0 }
  const canGrow = options.store.append !== undefined
  let state: State = 'open'
  let failure: Error | undefined
  let isGoneTold = false
  let pending: Entry[] = []
  let pendingItems = 0
  let notes: Note[] = []
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

  const patient = createPatientWrites({
    write: (entries) => write(entries, true),
    drop: segments.drop,
    isGone: segments.isGone,
    onGone: tellGone,
    clock,
    haste: options.haste,
  })
  const isOver = () => state !== 'open'
  const isFull = () => patient.isFailing || waitingBytes > BACKLOG_BYTES

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

  function note(entry: Entry): Promise<void> {
    if (isOver()) return Promise.resolve()
    return new Promise((resolve) => {
      notes.push({ entry, resolve })
      if (canGrow) pump()
      else resolve()
    })
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
      const noted = notes
      const entries = noted.map(({ entry }) => entry)
      notes = []
      if (isFlush) await flushAll([...entries, ...pending])
      else if (entries.length > 0) await writeNotes(entries)
      for (const { resolve } of noted) resolve()
      isDue = (isDue && pending.length > 0) || pendingItems >= options.every || waiters.some(({ upTo }) => upTo > durable)
      // Before anybody hears that a flush is done: what they note next is to be written at once.
      isPumping = !isOver() && ((pending.length > 0 && isDue) || (notes.length > 0 && canGrow))
      settleWaiters()
    }
  }

  async function write(entries: readonly Entry[], isFlush: boolean): Promise<number> {
    const bytes = await segments.write(entries, isFlush)
    stats.bytesWritten += bytes
    return bytes
  }

  /** What they say is only ever needed when this process dies: not worth waiting or failing for. */
  async function writeNotes(entries: readonly Entry[]): Promise<void> {
    try {
      await write(entries, false)
    } catch {
      await segments.drop()
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
    const written = await patient.write(entries).catch(giveUp)
    if (written === undefined) return
    waitingBytes -= bytes
    durable += count
    recorded += entries.reduce((sum, entry) => sum + entry.fresh, 0)
    if (items > 0) {
      stats.checkpoints++
      emit('afterCheckpoint', { runId, recorded, bytes: written, duration: clock.now() - start })
    }
  }

  /** What was recorded before is gone with it, and only this process ever knew. */
  function tellGone(): void {
    isGoneTold = true
    const message = `Files of run '${runId}' were deleted or replaced while it was at work: what is not there any more is recorded again as this session ends, or runs again when the run is resumed`
    emit('warning', { code: 'CHECKPOINT_DAMAGED', message })
    options.onGone()
  }

  function giveUp(error: unknown): undefined {
    if (!(error instanceof GivenUpError)) throw error
    const { cause, expected } = error
    const reason = cause instanceof Error ? cause.message : String(cause)
    const message = `Cannot write the checkpoint of run '${runId}': expected the store to take ${expected}, got ${reason}`
    pending = []
    for (const { resolve } of notes) resolve()
    notes = []
    waitingBytes = 0
    if (options.onError === 'warn') {
      state = 'off'
      emit('warning', { code: 'CHECKPOINT_OFF', message: `${message}. Going on without saving` })
    } else {
      state = 'failed'
      const before = isGoneTold ? 'Files of what was saved before were deleted or replaced' : 'What was saved before is safe'
      failure = new CheckpointWriteError(`${message}. ${before}: ${adviseOn(cause)}`, { cause })
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

  async function close(last: Entry, isNews: boolean): Promise<boolean> {
    const isAlone = pending.length === 0 && !isNews
    if (!isAlone) add([last])
    try {
      await flush()
      await pumping
      if (!segments.hasAny) return true
      if (isOver()) return false
      if (isAlone) await write([last], true)
      return true
    } catch (error) {
      if (failure !== undefined) throw error
      if (segments.isGone(error)) tellGone()
      return false // A clean end that cannot be noted is no reason to fail a run that is saved.
    } finally {
      timer?.abort()
      if (state === 'open') state = 'closed'
      await segments.close()
    }
  }

  return {
    stats,
    sizes: segments.sizes,
    get acknowledged() {
      return isOver() ? undefined : segments.acknowledged
    },
    get isGoneTold() {
      return isGoneTold
    },
    tellGone() {
      if (!isGoneTold) tellGone()
    },
    recount(count) {
      recorded = count
    },
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
