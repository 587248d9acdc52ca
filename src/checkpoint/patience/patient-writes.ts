import type { Clock } from '../../clock.ts'
import { codeOf, DENIED } from '../../store/errno.ts'
import type { Entry } from '../format/entries.ts'
import type { Haste } from './haste.ts'

/** How long a failing store is tried again, and the shortest and longest wait between tries, in ms. */
const PATIENCE = 30_000
const MIN_DELAY = 50
const MAX_DELAY = 2000

/**
 * How long it is tried from when the run was told to end, in ms. Half of what the hastiest leave a process before they kill it
 * (Docker 10 s; Kubernetes, AWS Batch and SLURM 30 s, spot notices no less), so that there is time to write the results out.
 */
export const HASTY_PATIENCE = 5000

/** How long in any case when it began to fail behind that, as at the end of a long `drainTimeout`, in ms: some tries. */
const LEAST_PATIENCE = 1000

/** The longest wait between tries from when the run was told to end, in ms. */
const MAX_HASTY_DELAY = 250

export interface PatientOptions {
  /** Makes entries durable and resolves with their bytes. */
  write(entries: readonly Entry[]): Promise<number>
  /** Leaves the file it wrote to. */
  drop(): Promise<void>
  /** Of an error of `write`: what was written before had been deleted. */
  isGone(error: unknown): boolean
  /** Called when that is so, once for all tries of a write. */
  onGone(): void
  readonly clock: Clock
  readonly haste: Haste
}

/**
 * Writes that may not be lost: tried again while the store fails, each time in a file of its own, until that has lasted too
 * long, which is sooner for a run that was told to end.
 */
export interface PatientWrites {
  /** The last try failed, and there will be another. */
  readonly isFailing: boolean
  /** Resolves with the bytes written. @throws GivenUpError */
  write(entries: readonly Entry[]): Promise<number>
}

export function createPatientWrites(options: PatientOptions): PatientWrites {
  const { drop, isGone, onGone, clock, haste } = options
  let isFailing = false

  async function writeUntilGivenUp(entries: readonly Entry[]): Promise<number> {
    let failingSince: number | undefined
    let isGoneTold = false
    for (let tries = 0; ; tries++) {
      try {
        const bytes = await writeFitting(options, entries)
        isFailing = false
        return bytes
      } catch (error) {
        await drop()
        if (isGone(error) && !isGoneTold) onGone()
        isGoneTold ||= isGone(error)
        isFailing = true
        failingSince ??= clock.now() // Not since the first try began: the process may have been stopped while it wrote.
        if (isSilent(error)) throw new GivenUpError('it', error.cause)
        if (error instanceof TooLargeError)
          throw new GivenUpError('files as large as what has to be kept of one item', error.cause)
        const { end, expected } = endOfPatience(failingSince, haste)
        if (clock.now() >= end) throw new GivenUpError(expected, error)
        const longest = haste.signal.aborted ? MAX_HASTY_DELAY : MAX_DELAY
        const delay = Math.min(longest, MIN_DELAY * 2 ** tries) * (0.5 + clock.random() / 2)
        await pause(options, Math.min(delay, Math.max(end - clock.now(), 1)))
      }
    }
  }

  return {
    get isFailing() {
      return isFailing
    },
    write: writeUntilGivenUp,
  }
}

/** Writes to as many segments as it takes, where the system bounds the size of files (EFBIG). */
async function writeFitting(options: Pick<PatientOptions, 'write' | 'drop'>, entries: readonly Entry[]): Promise<number> {
  let error: unknown
  // A new one may have room for what the last had not.
  for (const _ of ['the last segment', 'a new one']) {
    try {
      return await options.write(entries)
    } catch (reason) {
      if (codeOf(reason) !== 'EFBIG') throw reason
      error = reason
      await options.drop()
    }
  }
  const parts = halve(entries)
  if (parts.length < 2) throw new TooLargeError(error)
  let bytes = 0
  for (const part of parts) bytes += await writeFitting(options, part)
  return bytes
}

/** Sleeps until `ms` have passed or the run is told to end. */
async function pause({ clock, haste }: Pick<PatientOptions, 'clock' | 'haste'>, ms: number): Promise<void> {
  if (haste.signal.aborted) await clock.sleep(ms)
  else await clock.sleep(ms, haste.signal).catch(() => {})
}

/** How long a write that fails since then is to be tried, and what that expects of the store. */
function endOfPatience(failingSince: number, { toldAt, deadline }: Haste): { readonly end: number; readonly expected: string } {
  const longest = { end: failingSince + PATIENCE, expected: `it within ${PATIENCE / 1000} s` }
  if (toldAt === undefined) return longest
  const begin = Math.max(failingSince, toldAt)
  // The other half is for what comes behind it: the results are still to be written out.
  const half = begin + (deadline - begin) / 2
  const end = Math.min(half, Math.max(toldAt + HASTY_PATIENCE, failingSince + LEAST_PATIENCE))
  if (end >= longest.end) return longest
  const tried = Math.max(0, end - failingSince) / 1000
  return { end, expected: `it within ${tried.toFixed(1)} s, as the run was told to end` }
}

/** A store that did not answer in time; the cause of what its calls reject with then (answering.ts). */
export class SilentStoreError extends Error {}

export function isSilent(error: unknown): error is Error {
  return error instanceof Error && error.cause instanceof SilentStoreError
}

/** The store did not take what it had to. */
export class GivenUpError extends Error {
  /** What it should have taken, for a message. */
  readonly expected: string

  constructor(expected: string, cause: unknown) {
    super('the store was given up', { cause })
    this.expected = expected
  }
}

/** Errors that go away when there is room. */
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** Whether a store failed for want of room. */
export function isFull(error: unknown): boolean {
  return FULL.has(codeOf(error))
}

/** What to do about a store that failed with `error`, for a message. */
export function adviseOn(error: unknown): string {
  const cure = codeOf(error) === DENIED ? 'give node that flag' : isFull(error) ? 'make room' : 'see to the store'
  return `${cure}, then run again`
}

/** No file can hold even the smallest part. */
class TooLargeError extends Error {
  constructor(cause: unknown) {
    super('too large for a file', { cause })
  }
}

/** Two halves; of a single entry what it can be cut into. */
function halve(entries: readonly Entry[]): (readonly Entry[])[] {
  const [only] = entries
  const parts = entries.length === 1 ? (only?.halve?.() ?? []) : entries
  const middle = parts.length >>> 1
  return [parts.slice(0, middle), parts.slice(middle)].filter((part) => part.length > 0)
}
