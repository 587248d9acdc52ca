import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { CheckpointOptions, Stats } from 'pawl'
import { onTestFinished } from 'vitest'
import { type Heard, hear, newHeard } from '../crash/hear.ts'
import { resultOf, timeOf } from '../fixtures/tasks/slow.mjs'
import { newDirectory, range } from '../resume/place.ts'

const PROGRAM = join(import.meta.dirname, '../fixtures/programs/slow-run.mjs')

/** What the oracle, which is outside the processes that are killed, saw of one of them. */
interface KilledSession extends Heard {
  done: { results: unknown[]; stats: Stats } | undefined
}

export interface KillResult {
  readonly sessions: readonly KilledSession[]
  readonly last: { results: unknown[]; stats: Stats }
  /** Items a later session ran though an earlier one had announced them. */
  readonly repeated: number[]
  /** Work that was done more than once, in ms. */
  readonly lostWork: number
}

/** Starts `slow-run` again and again, kills it at `kills` random moments, and lets the last one end. */
export async function killAndResume(options: {
  readonly items: number
  readonly kills: number
  readonly seed: number
  readonly checkpoint: Omit<CheckpointOptions, 'store'>
}): Promise<KillResult> {
  const directory = newDirectory()
  const checkpoint = { ...options.checkpoint, store: join(directory, 'runs') }
  const random = mulberry32(options.seed)
  const sessions: KilledSession[] = []
  for (;;) {
    const isLast = sessions.length >= options.kills
    // Some die while they start, most at work.
    const moment = isLast ? undefined : { afterStart: random() < 0.2, delay: random() * 350 }
    const session = await runSession(directory, sessions.length, { items: options.items, checkpoint }, moment)
    sessions.push(session)
    if (session.done) return { sessions, last: session.done, ...readFinished(directory, sessions) }
    if (isLast) throw new Error('the last session ended without a word')
  }
}

function runSession(
  directory: string,
  number: number,
  given: object,
  moment: { readonly afterStart: boolean; readonly delay: number } | undefined,
): Promise<KilledSession> {
  const session: KilledSession = { ...newHeard(), done: undefined }
  const env = { ...process.env, PAWL_TEST_DIRECTORY: directory, PAWL_TEST_SESSION: String(number) }
  const child = spawn(process.execPath, [PROGRAM, JSON.stringify(given)], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const killSoon = () => moment && setTimeout(() => child.kill('SIGKILL'), moment.delay)
  if (moment?.afterStart) killSoon()
  createInterface({ input: child.stdout }).on('line', (line) => {
    const { word, value } = hear(session, line)
    if (word === 'done') session.done = value
    if (word === 'restored' && !moment?.afterStart) killSoon()
  })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (session.done || signal === 'SIGKILL') resolve(session)
      else reject(new Error(`session ${number} ended with code ${code}`))
    })
  })
}

function readFinished(directory: string, sessions: readonly KilledSession[]): { repeated: number[]; lostWork: number } {
  const finished = new Set<number>()
  const repeated: number[] = []
  let lostWork = 0
  for (const line of readFileSync(join(directory, 'finished'), 'utf8').split('\n').filter(Boolean)) {
    const [session, index] = line.split(' ').map(Number) as [number, number]
    if (sessions.slice(0, session).some(({ durable }) => durable.has(index))) repeated.push(index)
    if (finished.has(index)) lostWork += timeOf(index)
    finished.add(index)
  }
  return { repeated, lostWork }
}

export const expectedResults = (count: number) => range(count).map(resultOf)

/** A small seeded generator of numbers in [0, 1), by Tommy Ettinger. */
export function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
