import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { type CheckpointOptions, type ExecuteOptions, execute, type Report, readResults, type Stats, verifyRun } from 'pawl'
import { expect } from 'vitest'
import { isHopeless, resultOf } from './fixtures/outcomes.mjs'
import { type Heard, hear, newHeard } from './hear.ts'

const PROGRAM = join(import.meta.dirname, 'fixtures/session.mjs')
const TASKS = join(import.meta.dirname, 'fixtures/tasks.mjs')

/** What one process is to do. */
export interface Work {
  readonly task?: 'steady' | 'stormy'
  /** How many. */
  readonly items: number
  readonly checkpoint?: Omit<CheckpointOptions, 'store'>
  readonly options?: ExecuteOptions<number>
  /** Each flush is a file of its own, as with stores whose objects cannot grow. */
  readonly isWhole?: boolean
  /** The session goes to work whoever else is at it. */
  readonly isLeaseIgnored?: boolean
  /** Where it says that its process is. */
  readonly host?: string
  /** How much faster its monotonic clock goes. */
  readonly speed?: number
  /** Time an item takes, in ms. */
  readonly pace?: number
}

interface Ending {
  readonly stats: Stats
  readonly results: readonly unknown[]
  readonly failed: readonly number[]
}

interface Refusal {
  readonly code: string
  readonly message: string
  readonly cause?: string
  readonly stats?: Stats
  readonly results?: readonly unknown[]
}

/** A session as its parent sees it, who is not harmed when it is. */
export interface Session extends Heard {
  readonly child: ChildProcess
  done: Ending | undefined
  refused: Refusal | undefined
  signal: NodeJS.Signals | null
  /** How the process ended; 'alive' while it has not. */
  code: number | null | 'alive'
  /** Resolves when the process is gone and all it said was read. */
  readonly ended: Promise<Session>
  /** Resolves when `isTrue`; rejects when the session ends before. */
  until(isTrue: (session: Session) => boolean): Promise<void>
}

/** Starts a session in `directory`, through `wrapper` (a command that starts the one behind it) if there is one. */
export function startSession(directory: string, work: Work, wrapper: readonly string[] = []): Session {
  const { pace, ...given } = work
  const command = [...wrapper, process.execPath, PROGRAM, JSON.stringify({ ...given, directory })]
  const env = { ...process.env, PAWL_CRASH_PACE: String(pace ?? 0), UV_THREADPOOL_SIZE: '1' }
  const child = spawn(command[0] as string, command.slice(1), { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const lines = createInterface({ input: child.stdout })
  let errors = ''
  child.stderr.on('data', (text) => {
    errors += text
  })
  const session: Session = {
    ...newHeard(),
    ...{ child, done: undefined, refused: undefined, signal: null, code: 'alive' },
    ended: new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (code, signal) => {
        Object.assign(session, { code, signal })
        // A wrapper says of a signal that ended its command: 128 and its number.
        const isKilled = signal !== null || (code !== null && code >= 128)
        if (isKilled || session.done || session.refused) resolve(session)
        else reject(new Error(`the session ended without a word, with code ${code}: ${errors}`))
      })
    }),
    until: async (isTrue) => {
      while (!isTrue(session)) {
        if (session.code !== 'alive') throw new Error(`the session ended before: ${JSON.stringify(session.refused)} ${errors}`)
        await sleep(1)
      }
    },
  }
  session.ended.catch(() => {})
  lines.on('line', (line) => {
    const { word, value } = hear(session, line)
    if (word === 'done') session.done = value
    if (word === 'refused') session.refused = value
  })
  return session
}

/** Resolves at a random moment of a session's life: some while it starts, most at its work; at the latest when it has ended. */
export async function atRandom(session: Session, random: () => number): Promise<void> {
  const isEarly = random() < 0.2
  const delay = random() * (isEarly ? 300 : 500)
  if (!isEarly) await session.until(({ announced, code }) => announced > 0 || code !== 'alive')
  await Promise.race([session.ended, sleep(delay)])
}

/** What was acknowledged so far, over all sessions of a run. */
export interface Oracle {
  announced: number
  readonly durable: Set<number>
}

export const newOracle = ({ announced, durable }: Oracle = { announced: 0, durable: new Set() }): Oracle => ({
  announced,
  durable: new Set(durable),
})

export function remember(oracle: Oracle, session: Session): void {
  oracle.announced = Math.max(oracle.announced, session.announced, session.done?.stats.succeeded ?? 0)
  for (const index of session.durable) oracle.durable.add(index)
}

/** How many acknowledged items the store has not; all that it has is right and none is damaged. */
export async function countMissing(
  directory: string,
  oracle: Oracle,
  task: 'steady' | 'stormy' = 'steady',
  what = '',
): Promise<number> {
  const recorded = new Set<number>()
  try {
    for await (const outcome of readResults(directory, 'run')) {
      recorded.add(outcome.index)
      if (outcome.status === 'fulfilled') expect(outcome.value).toEqual(resultOf(outcome.index))
      else expect(isHopeless(outcome.index) && task === 'stormy', `item ${outcome.index}: ${outcome.reason}`).toBe(true)
    }
    const { damaged } = await verifyRun(directory, 'run')
    expect(damaged, what).toEqual([])
  } catch (error) {
    if ((error as { code?: string }).code !== 'ERR_PAWL_RUN_NOT_FOUND') throw error
  }
  const missing = [...oracle.durable].filter((index) => !recorded.has(index)).length
  return Math.max(missing, oracle.announced - recorded.size)
}

/** Does the rest of the run, in this process, and checks every result. */
export async function finishRun(directory: string, work: Work, oracle: Oracle): Promise<Report<unknown>> {
  const items = Array.from({ length: work.items }, (_, n) => n)
  const codes: string[] = []
  const report = await execute({ module: TASKS, export: work.task ?? 'steady' }, items, {
    ...work.options,
    runId: 'run',
    checkpoint: { ...work.checkpoint, store: directory },
    maxFailures: Number.MAX_SAFE_INTEGER,
    on: { warning: ({ code }) => void codes.push(code) },
  })
  checkResults(work, { ...report, failed: report.failures.map(({ index }) => index) })
  expect(report.stats.restored).toBeGreaterThanOrEqual(work.options?.retryFailed === false ? oracle.announced : 0)
  expect(report.stats).toMatchObject({ damaged: 0, conflicts: 0 })
  expect(codes).toEqual([])
  return report
}

/** Every item of the run settled as it should. */
export function checkResults({ items, task }: Work, { results, failed }: Pick<Ending, 'results' | 'failed'>): void {
  const all = Array.from({ length: items }, (_, n) => n)
  const isFailed = (n: number) => task === 'stormy' && isHopeless(n)
  expect([...failed].sort((a, b) => a - b)).toEqual(all.filter(isFailed))
  expect(results).toHaveLength(items)
  for (const n of all) if (!isFailed(n)) expect(results[n]).toEqual(resultOf(n))
}
