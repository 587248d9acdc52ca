import { CheckpointWriteError, messageOf } from '../../errors.ts'
import type { Emit } from '../../types.ts'
import { adviseOn, type GivenUpError } from '../patience/patient-writes.ts'
import type { Batch } from './unsaved.ts'

export interface TidingsOptions {
  readonly runId: string
  readonly onError: 'fail' | 'warn'
  readonly emit: Emit
  /** Items durable before this session. */
  readonly recorded: number
  /** Ends the run. */
  fail(error: Error): void
  /** Called when files of the run were deleted, cut, moved away or replaced while it is at work. */
  onGone(): void
}

/** What a session tells of its log, and to whom. */
export class Tidings {
  readonly #options: TidingsOptions
  #recorded: number
  #isGoneTold = false

  constructor(options: TidingsOptions) {
    this.#options = options
    this.#recorded = options.recorded
  }

  /** Files were found to be gone, which was told. */
  get isGoneTold(): boolean {
    return this.#isGoneTold
  }

  /** So many items are on record after all. */
  recount(recorded: number): void {
    this.#recorded = recorded
  }

  /** A flush begins. */
  begin({ items }: Batch): void {
    const { runId, emit } = this.#options
    if (items > 0) emit('beforeCheckpoint', { runId, pending: items })
  }

  /** All of it is durable, written in so many bytes and ms. */
  acknowledge({ entries, items }: Batch, bytes: number, duration: number): void {
    const { runId, emit } = this.#options
    this.#recorded += entries.reduce((sum, entry) => sum + entry.fresh, 0)
    if (items > 0) emit('afterCheckpoint', { runId, recorded: this.#recorded, bytes, duration })
  }

  /** What was recorded before is gone with files that are, and only this process ever knew. */
  tellGone(): void {
    const { runId, emit, onGone } = this.#options
    this.#isGoneTold = true
    const message = `Files of run '${runId}' were deleted, cut or replaced while it was at work: what is not there any more is recorded again as this session ends, or runs again when the run is resumed`
    emit('warning', { code: 'CHECKPOINT_DAMAGED', message })
    onGone()
  }

  /** Nothing is recorded from now on. Gives the error the run ends with, if it is to end; `isEnding`: it does so anyway. */
  giveUp({ cause, expected }: GivenUpError, isEnding: boolean): CheckpointWriteError | undefined {
    const { runId, onError, emit, fail } = this.#options
    const message = `Cannot write the checkpoint of run '${runId}': expected the store to take ${expected}, got ${messageOf(cause)}`
    if (onError === 'warn') {
      const rest = isEnding ? 'The run ends without saving the rest' : 'Going on without saving'
      emit('warning', { code: 'CHECKPOINT_OFF', message: `${message}. ${rest}` })
      return undefined
    }
    const before = this.#isGoneTold
      ? 'Files of what was saved before were deleted, cut or replaced'
      : 'What was saved before is safe'
    const failure = new CheckpointWriteError(`${message}. ${before}: ${adviseOn(cause)}`, { cause })
    fail(failure)
    return failure
  }
}
