import type { Clock } from '../clock.ts'
import type { Entry } from './entries.ts'

/** How long a failing store is tried again, and the shortest and longest wait between tries, in ms. */
const PATIENCE = 30_000
const MIN_DELAY = 50
const MAX_DELAY = 2000

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
}

/** Writes that may not be lost: tried again while the store fails, each time in a file of its own, until that has lasted too long. */
export interface PatientWrites {
  /** The last try failed, and there will be another. */
  readonly isFailing: boolean
  /** Resolves with the bytes written. @throws GivenUpError */
  write(entries: readonly Entry[]): Promise<number>
}

export function createPatientWrites({ write, drop, isGone, onGone, clock }: PatientOptions): PatientWrites {
  let isFailing = false

  /** Writes to as many segments as it takes, where the system bounds the size of files (EFBIG). */
  async function writeFitting(entries: readonly Entry[]): Promise<number> {
    let error: unknown
    // A new one may have room for what the last had not.
    for (const _ of ['the last segment', 'a new one']) {
      try {
        return await write(entries)
      } catch (reason) {
        if ((reason as NodeJS.ErrnoException).code !== 'EFBIG') throw reason
        error = reason
        await drop()
      }
    }
    const parts = halve(entries)
    if (parts.length < 2) throw new TooLargeError(error)
    let bytes = 0
    for (const part of parts) bytes += await writeFitting(part)
    return bytes
  }

  async function writeUntilGivenUp(entries: readonly Entry[]): Promise<number> {
    let failingSince: number | undefined
    let isGoneTold = false
    for (let tries = 0; ; tries++) {
      try {
        const bytes = await writeFitting(entries)
        isFailing = false
        return bytes
      } catch (error) {
        await drop()
        if (isGone(error) && !isGoneTold) onGone()
        isGoneTold ||= isGone(error)
        isFailing = true
        failingSince ??= clock.now() // Not since the first try began: the process may have been stopped while it wrote.
        if (error instanceof TooLargeError)
          throw new GivenUpError('files as large as what has to be kept of one item', error.cause)
        if (clock.now() - failingSince >= PATIENCE) throw new GivenUpError(`it within ${PATIENCE / 1000} s`, error)
        const delay = Math.min(MAX_DELAY, MIN_DELAY * 2 ** tries) * (0.5 + clock.random() / 2)
        await clock.sleep(Math.min(delay, Math.max(failingSince + PATIENCE - clock.now(), 1)))
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
const FULL = new Set<string | undefined>(['ENOSPC', 'EDQUOT', 'EFBIG'])

/** What to do about a store that failed with `error`, for a message. */
export function adviseOn(error: unknown): string {
  const isFull = FULL.has((error as NodeJS.ErrnoException | undefined)?.code)
  return `${isFull ? 'make room' : 'see to the store'}, then run again`
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
