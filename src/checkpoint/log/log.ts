import type { Clock } from '../../clock.ts'
import type { Entry } from '../format/entries.ts'
import type { Haste } from '../patience/haste.ts'
import { createPatientWrites, GivenUpError, isSilent, type PatientWrites } from '../patience/patient-writes.ts'
import { Notes } from './notes.ts'
import { type OwnSegment, openSegments, type SegmentOptions, type Segments } from './segments.ts'
import type { Tidings } from './tidings.ts'
import { Unsaved } from './unsaved.ts'

/** Where the log of a session goes, and when. Durations in milliseconds. */
export interface LogOptions extends SegmentOptions {
  readonly every: number
  readonly interval: number
  readonly clock: Clock
  readonly haste: Haste
  readonly tidings: Tidings
  /** Aborts when the run is about to end before its time. */
  readonly draining?: AbortSignal | undefined
}

/** More bytes than this waiting to be written is a backlog: about what a disk takes in half a second. */
const BACKLOG_BYTES = 2 ** 26

/**
 * More bytes than this start a flush, however few items and ms there are: `every` and `interval` say when at the latest. Higher,
 * and large results wait for the timer while the disk is idle, then are put together in one go, which the event loop waits for;
 * lower, and syncs cost more than the bytes, and a store whose objects cannot grow has many. Set by bench/growth.bench.mjs, the
 * saved run of results of 1 MB: from 1 to 8 MiB it takes the same time, at 64 twice as long.
 */
const FLUSH_BYTES = 2 ** 22

/**
 * The segments of one session. Group commit: one write and one sync at a time; what is added meanwhile goes with the next.
 *
 * After a failed write or sync the segment is never touched again, since a later sync of it may succeed without having
 * saved anything: all that is not yet durable is written again to a new one.
 */
export class RunLog {
  readonly stats = { checkpoints: 0, bytesWritten: 0 }
  readonly #options: LogOptions
  readonly #segments: Segments
  readonly #patient: PatientWrites
  readonly #unsaved = new Unsaved()
  readonly #notes = new Notes()
  #isOver = false
  #isClosing = false
  #failure: Error | undefined
  #failures = 0
  /** Nothing was added since the last entry of all was written. */
  #hasEnd = false
  #timer: AbortController | undefined
  #isDue = false
  #isPumping = false
  #pumping = Promise.resolve()
  /** Those who wait until the backlog is gone. */
  #waiters: (() => void)[] = []

  constructor(options: LogOptions) {
    this.#options = options
    this.#segments = openSegments(options)
    this.#patient = createPatientWrites({
      write: (entries) => this.#write(entries, true),
      drop: this.#segments.drop,
      isGone: this.#segments.isGone,
      onGone: () => options.tidings.tellGone(),
      clock: options.clock,
      haste: options.haste,
    })
  }

  /** Of the segments that were left, as `Segments` has them. */
  get sizes(): readonly number[] {
    return this.#segments.sizes
  }

  /** As `Segments` has them; undefined when nothing is recorded any more. */
  get acknowledged(): readonly OwnSegment[] | undefined {
    return this.#isOver ? undefined : this.#segments.acknowledged
  }

  /** How many writes have failed so far. Those that are tried again take time, in which files that were left may be deleted. */
  get failures(): number {
    return this.#failures
  }

  /** Resolves when the store takes entries again and not too many wait for it. Undefined when that is so. */
  get backlog(): Promise<void> | undefined {
    if (this.#isOver || !this.#isBacklogged) return undefined
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  /** Adds entries to be made durable with the next flush. */
  add(entries: readonly Entry[]): void {
    if (this.#isOver || entries.length === 0) return
    this.#hasEnd = false
    this.#unsaved.add(entries)
    if (this.#isFull) this.#flushSoon()
    else if (this.#timer === undefined) this.#startTimer()
  }

  /**
   * Adds entries that need not be durable, and sends them off at once unless a write is under way. Resolves when they are off.
   */
  note(entry: Entry): Promise<void> {
    if (this.#isOver) return Promise.resolve()
    this.#notes.add(entry)
    if (!this.#canGrow) return Promise.resolve() // It goes with the next flush: a file of its own is too much for it.
    const sent = this.#notes.wait()
    this.#pump()
    return sent
  }

  flush(): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#isOver || this.#unsaved.isEmpty) return Promise.resolve()
    const saved = this.#unsaved.wait()
    this.#flushSoon()
    return saved
  }

  /**
   * Flushes, with `last` as the last entry if there is a segment at all or it `isNews`, and lets go of the segment. False when it
   * is not in it. What is added after it goes to a new one, and to be ended again; nothing is written when nothing was.
   */
  async end(last: Entry, isNews: boolean): Promise<boolean> {
    if (this.#hasEnd) return true
    this.#isClosing = true
    const isAlone = this.#unsaved.pending.entries.length === 0 && !isNews
    if (!isAlone) this.add([last])
    try {
      await this.flush()
      await this.#pumping
      if (!this.#segments.hasAny) return true
      if (this.#isOver) return false
      if (isAlone) await this.#write([last], true)
      this.#hasEnd = true
      return true
    } catch (error) {
      if (this.#failure !== undefined) throw error
      if (this.#segments.isGone(error)) this.#options.tidings.tellGone()
      return false // A clean end that cannot be noted is no reason to fail a run that is saved.
    } finally {
      this.#timer?.abort()
      await this.#segments.close()
    }
  }

  /** Ends as by `end`, and takes no more entries. */
  async close(last: Entry, isNews: boolean): Promise<boolean> {
    try {
      return await this.end(last, isNews)
    } finally {
      this.#isOver = true
    }
  }

  /**
   * What said that it ended may be gone: the next `end` says it again. With `there`, if anything is to be forgotten; as in
   * Segments.
   */
  endAgain(there?: ReadonlySet<string>): void {
    if (there === undefined || this.#segments.forget(there)) this.#hasEnd = false
  }

  get #canGrow(): boolean {
    return this.#options.store.append !== undefined
  }

  get #isBacklogged(): boolean {
    return this.#patient.isFailing || this.#unsaved.bytes > BACKLOG_BYTES
  }

  get #isFull(): boolean {
    const { items, bytes } = this.#unsaved.pending
    return items >= this.#options.every || bytes > FLUSH_BYTES
  }

  #startTimer(): void {
    const { clock, interval } = this.#options
    this.#timer = new AbortController()
    clock.sleep(interval, this.#timer.signal).then(
      () => this.#flushSoon(),
      () => {},
    )
  }

  #flushSoon(): void {
    this.#isDue = true
    this.#pump()
  }

  #pump(): void {
    if (!this.#isPumping) this.#pumping = this.#run()
  }

  async #run(): Promise<void> {
    const unsaved = this.#unsaved
    const hasPending = () => unsaved.pending.entries.length > 0
    this.#isPumping = true
    while (this.#isPumping) {
      const noted = this.#notes.take()
      if (hasPending() && this.#isDue) await this.#flushAll(noted.entries)
      else if (noted.entries.length > 0) await this.#writeNotes(noted.entries)
      noted.tell()
      this.#isDue = (this.#isDue && hasPending()) || this.#isFull || unsaved.isAwaited
      // Before anybody hears that a flush is done: what they note next is to be written at once.
      this.#isPumping = !this.#isOver && ((hasPending() && this.#isDue) || (!this.#notes.isEmpty && this.#canGrow))
      this.#settle()
    }
  }

  async #write(entries: readonly Entry[], isFlush: boolean): Promise<number> {
    try {
      const bytes = await this.#segments.write(entries, isFlush)
      this.stats.bytesWritten += bytes
      return bytes
    } catch (error) {
      this.#failures++
      throw error
    }
  }

  /** What they say is only ever needed when this process dies: not worth waiting or failing for, unless the store is silent. */
  async #writeNotes(entries: readonly Entry[]): Promise<void> {
    try {
      await this.#write(entries, false)
    } catch (error) {
      await this.#segments.drop()
      if (isSilent(error)) this.#giveUp(new GivenUpError('it', error.cause))
    }
  }

  /** What is to be durable, behind what was noted; the rest, if that is too much at once, is due from then on. */
  async #flushAll(noted: readonly Entry[]): Promise<void> {
    const { clock, tidings } = this.#options
    const batch = this.#unsaved.take()
    this.#isDue = this.#unsaved.pending.entries.length > 0
    this.#timer?.abort()
    this.#timer = undefined
    tidings.begin(batch)
    const start = clock.now()
    const bytes = await this.#patient.write([...noted, ...batch.entries]).catch((error) => this.#giveUp(error))
    if (bytes === undefined) return
    this.#unsaved.acknowledge(batch)
    if (batch.items > 0) this.stats.checkpoints++
    tidings.acknowledge(batch, bytes, clock.now() - start)
  }

  #giveUp(error: unknown): undefined {
    if (!(error instanceof GivenUpError)) throw error
    const { tidings, draining } = this.#options
    this.#notes.take().tell()
    this.#isOver = true
    this.#failure = tidings.giveUp(error, this.#isClosing || draining?.aborted === true)
    this.#settle()
  }

  /** Tells those who wait what has come of it. */
  #settle(): void {
    if (this.#isOver) this.#unsaved.giveUp(this.#failure)
    else this.#unsaved.tell()
    if (this.#isOver || !this.#isBacklogged) for (const resolve of this.#waiters.splice(0)) resolve()
  }
}
