import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { execute } from 'pawl'
import { checkResults, newOracle, type Oracle, startSession, type Work } from './session.ts'

/** System calls by which a checkpoint is written. strace leaves out those with `?` where the machine has none of the name. */
const WRITING = ['pwrite64', 'fdatasync', 'fsync', 'rename', 'renameat', 'renameat2', 'link', 'linkat', 'unlink', 'unlinkat']
const CALLS = [...WRITING, 'mkdir', 'mkdirat', 'rmdir'].map((call) => `?${call}`).join(',')
// Not --seccomp-bpf: with it strace 6.1 does not count the calls.
const STRACE = ['strace', '-f', '-qq']

/** A wrapper that does something to one of the calls a session makes: `fault` in strace's words, like `signal=SIGKILL:when=3`. */
export function injecting(call: string, fault: string): string[] {
  return [...STRACE, '-o', '/dev/null', '-e', `trace=${call}`, '-e', `inject=${call}:${fault}`]
}

/** How often an undisturbed session on a copy of `template` makes each call. */
export async function countUnharmed(directory: string, template: string, work: Work): Promise<Map<string, number>> {
  const place = join(directory, 'unharmed')
  const file = join(directory, 'trace')
  cpSync(template, place, { recursive: true })
  const { done, refused } = await startSession(place, work, [...STRACE, '-o', file, '-e', `trace=${CALLS}`]).ended
  if (!done) throw new Error(`an undisturbed session failed: ${refused?.message}`)
  checkResults(work, done)
  const counts = new Map<string, number>()
  for (const [, call = ''] of readFileSync(file, 'utf8').matchAll(/^\d+ +(\w+)\(/gm))
    counts.set(call, (counts.get(call) ?? 0) + 1)
  return counts
}

/** Leaves `count` segments of a run, of one session each and one item or more in each. */
export async function prepareSegments(directory: string, { items, checkpoint }: Work, count: number): Promise<Oracle> {
  const oracle = newOracle()
  for (let session = 0; session < count; session++) {
    const abort = new AbortController()
    const task = { module: join(import.meta.dirname, 'fixtures/tasks.mjs'), export: 'steady' }
    const given = Array.from({ length: items }, (_, n) => n)
    // The first outcome of its own ends the session: sessions compact only what was there before them.
    await execute(task, given, {
      ...{ runId: 'run', mode: 'inline', chunkSize: 1, signal: abort.signal },
      checkpoint: { ...checkpoint, store: directory },
      on: { outcome: ({ restored }) => void (restored || abort.abort()) },
    }).catch(({ code, report }) => {
      if (code !== 'ERR_PAWL_ABORTED') throw new Error(`a session that prepares ended with ${code}`)
      oracle.announced = report.stats.succeeded
    })
  }
  if (oracle.announced > items / 2)
    throw new Error(`expected most of ${items} items to be left, got ${oracle.announced} recorded`)
  return oracle
}
