import type { Clock } from '../clock.ts'
import type { Answer, Ask } from './ask.ts'

/** What a cloud said: `notice`, the machine is about to go; `advice`, it may have to before long. */
export interface Said {
  readonly kind: 'notice' | 'advice'
  readonly reason: Error
}

/** One place where a cloud tells what it is going to do to the machine. */
export interface Source {
  /** Milliseconds between an answer and the next question. */
  readonly cadence: number
  /** False where silence is nothing to tell the user about: the cloud has another place that matters more. */
  readonly isVital: boolean
  /** Asks once. undefined: nothing is going to happen. Rejects when the answer makes no sense or there is none. */
  read(ask: Ask): Promise<Said | undefined>
}

/** Called when a source says something. */
export interface Hearers {
  onSaid(said: Said): void
  /** A vital source gave no sensible answer `MAX_SILENCES` times in a row. May be called many times. */
  onSilent(error: Error): void
}

/** Answers that fail in a row before the user is told: a metadata service has a bad moment now and then. */
const MAX_SILENCES = 3

/** Asks `source` again and again until `signal` aborts. Never rejects. */
export async function listen(
  source: Source,
  ask: Ask,
  clock: Pick<Clock, 'sleep'>,
  signal: AbortSignal,
  { onSaid, onSilent }: Hearers,
): Promise<void> {
  let silences = 0
  while (!signal.aborted) {
    const said = await source.read(ask).then(
      (it) => {
        silences = 0
        return it
      },
      (error: Error) => {
        silences++
        if (source.isVital && silences >= MAX_SILENCES && !signal.aborted) onSilent(error)
        return undefined
      },
    )
    if (said && !signal.aborted) onSaid(said)
    await clock.sleep(source.cadence, signal).catch(() => {})
  }
}

/** What to say of an answer that cannot be used. */
export function senseless({ status, body }: Answer, path: string): Error {
  return new Error(`status ${status} for ${path}: ${JSON.stringify(body.slice(0, 100))}`)
}

/** The object in `answer`'s body. Throws when there is none. */
export function readObject(answer: Answer, path: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(answer.body)
    if (answer.status === 200 && typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {}
  throw senseless(answer, path)
}
