import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Events, type ExecuteOptions, execute, type Outcome, type Report, type RunAbortedError, type TaskRef } from 'pawl'
import { onTestFinished } from 'vitest'

/** A directory of its own for a test, with a store in it and word of what the task `noted` did. */
export interface Place {
  readonly directory: string
  /** The store, as a directory. */
  readonly runs: string
  /** Indices in the order they were started, by all sessions so far. */
  starts(): number[]
  /** From now on the item fails. */
  spoil(...items: number[]): void
  /** From now on no item fails. */
  heal(...items: number[]): void
}

export function newPlace(): Place {
  const directory = newDirectory()
  process.env.PAWL_TEST_DIRECTORY = directory
  const starts = join(directory, 'starts')
  appendFileSync(starts, '')
  return {
    directory,
    runs: join(directory, 'runs'),
    starts: () => readFileSync(starts, 'utf8').split('\n').filter(Boolean).map(Number),
    spoil: (...items) => {
      for (const item of items) writeFileSync(join(directory, `bad-${item}`), '')
    },
    heal: (...items) => {
      for (const item of items) rmSync(join(directory, `bad-${item}`))
    },
  }
}

/** A new directory, removed when the test is over. */
export function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'pawl-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** Whole numbers from 0. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n)
}

/** What a run was warned of. */
export function listenForWarnings() {
  const warnings: Events['warning'][] = []
  return {
    warnings,
    codes: () => warnings.map(({ code }) => code),
    on: { warning: (it: Events['warning']) => void warnings.push(it) },
  }
}

/** Runs until `after` items have settled in this session, then drains. Gives the report of what had settled by then. */
export async function interrupt<T, R>(
  task: TaskRef<T, R>,
  items: Iterable<T> | AsyncIterable<T>,
  options: ExecuteOptions<T>,
  after = 20,
): Promise<Report<R | undefined, T>> {
  const abort = new AbortController()
  let settled = 0
  const outcome = ({ restored }: Events['outcome']) => {
    if (!restored && ++settled === after) abort.abort(new Error('enough'))
  }
  const error = await execute(task, items, {
    workers: 1,
    chunkSize: 2,
    ...options,
    signal: abort.signal,
    on: { ...options.on, outcome },
  }).then(
    () => {
      throw new Error('the run was over before it could be interrupted')
    },
    (error: RunAbortedError) => error,
  )
  if (error.code !== 'ERR_PAWL_ABORTED') throw error
  return error.report as Report<R | undefined, T>
}

/** All outcomes there are to come. */
export async function read<R>(outcomes: AsyncIterable<Outcome<R>>): Promise<Outcome<R>[]> {
  const all: Outcome<R>[] = []
  for await (const outcome of outcomes) all.push(outcome)
  return all
}

/** What a promise was rejected with. */
export async function errorOf(promise: Promise<unknown>): Promise<Error & { code?: string; report?: Report }> {
  try {
    await promise
  } catch (error) {
    return error as Error
  }
  throw new Error('expected a rejection')
}
