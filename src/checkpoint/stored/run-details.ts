import { systemClock } from '../../clock.ts'
import { isPawlError, messageOf } from '../../errors.ts'
import { isRefused, listReadable } from '../../store/refused.ts'
import type { Store } from '../../store/store.ts'
import type { Json } from '../../types.ts'
import { findLive, readClaims } from '../claims/claim.ts'
import { isOfRun } from '../format/run-file.ts'
import type { RunIdentity } from '../identity/fingerprint.ts'
import { endAll, inGroups } from '../patience/at-once.ts'
import { countSettled } from '../record/item-places.ts'
import type { LoadedFile } from '../record/run-index.ts'
import { isFailed } from '../record/verdict.ts'
import { findWinners } from '../record/winners.ts'
import { toStore } from './given-store.ts'
import { loadRun, lossOf, type StoredRun } from './load-run.ts'

/** A run at a glance. */
export interface RunSummary {
  readonly runId: string
  /**
   * `complete`: every item has settled, tolerated failures included. `failed`: the last session ended because more items failed
   * than was tolerated. `partial`: anything else. `listRuns` reads no outcome, and so counts damaged ones as settled;
   * `inspectRun` does not.
   */
  readonly status: 'complete' | 'failed' | 'partial'
  /** Items that settled, failures included. */
  readonly done: number
  /** undefined: nobody knows yet how many items there are. */
  readonly total: number | undefined
  readonly failures: number
  /** Size of all its objects. */
  readonly bytes: number
  /** About when it was last written, in milliseconds since 1970; undefined when nothing tells. */
  readonly lastWrite: number | undefined
  /**
   * A session is at work on it; of one on another machine, whose clock differs by more than a minute, it may be missed.
   * `deleteRun` makes sure.
   */
  readonly live: boolean
  /**
   * Why nothing else is known of it, in a sentence: a newer pawl wrote it, and reads it; or this user may not read it. Absent as
   * a rule.
   */
  readonly unreadable?: string
}

/** All that is known of a run. Times in milliseconds since 1970, sizes in bytes. */
export interface RunDetails extends RunSummary {
  /** undefined, like what comes from it, when the manifest is damaged. */
  readonly identity: RunIdentity | undefined
  readonly fingerprint: string
  /** `module#export`. */
  readonly task: string | undefined
  readonly createdAt: number | undefined
  /** Version of the package that made it. */
  readonly pawl: string | undefined
  /** Arguments of the command line that made it. */
  readonly command: Json | undefined
  readonly formats: readonly string[]
  readonly files: readonly FileDetails[]
  readonly sessions: readonly SessionDetails[]
  /**
   * Items whose record is damaged, and that are not recorded elsewhere. Of a session that did not end by itself it is an
   * estimate: what was in flight then is among them if a damaged part is behind its start, and what was begun in one is not.
   */
  readonly damaged: number
  /** Items with two different successes on record. */
  readonly conflicts: number
  /** The sessions at work. */
  readonly holders: readonly {
    readonly host: string
    readonly pid: number
    readonly shard: string | null
    readonly startedAt: number
  }[]
}

/** A file of a run. */
export interface FileDetails {
  /** Below the run: `seg/…`. */
  readonly name: string
  readonly size: number
  readonly frames: number
  /** Bytes at its end that a killed writer left unfinished. */
  readonly torn: number
  /** A snapshot stands for it. */
  readonly covered: boolean
}

/** One process life of a run. */
export interface SessionDetails {
  /** Its name, which those of its files begin with. */
  readonly writer: string
  /** In milliseconds since 1970, and later than that of those before it: just behind them where its clock was. */
  readonly began: number
  /** `closed`: by itself, also drained or with an error. `died`: without a word. `live`: it is at work. */
  readonly ended: 'closed' | 'died' | 'live'
}

/** Bytes of runs that are looked at at once. Higher, and it takes the memory of many large runs; lower, and longer. */
const LISTED_BYTES = 2 ** 26

/** As many bytes each of their objects counts for besides its own, since it is asked for. */
const ASKED_BYTES = 2 ** 20

/** The runs of a store, in the order of their ids. */
export async function listRuns(given: Store | string | URL): Promise<RunSummary[]> {
  const store = toStore(given)
  const sizes = new Map<string, number>()
  const weights = new Map<string, number>()
  const runIds = new Set<string>()
  const { objects, refused } = await listReadable(store)
  for (const { key, size } of objects) {
    const runId = key.split('/', 1)[0] as string
    sizes.set(runId, (sizes.get(runId) ?? 0) + size)
    weights.set(runId, (weights.get(runId) ?? 0) + size + ASKED_BYTES)
    if (isOfRun(key)) runIds.add(runId)
  }
  const runs: RunSummary[] = []
  const weigh = (runId: string) => weights.get(runId) as number
  for (const group of inGroups([...runIds], LISTED_BYTES, weigh))
    runs.push(...(await endAll(group.map((runId) => summarize(store, runId, sizes.get(runId) as number)))).flat())
  for (const [runId, error] of refused) runs.push(unreadable(runId, 0, explainRefused(runId, error)))
  return runs.sort((a, b) => (a.runId < b.runId ? -1 : 1))
}

/** @throws RunNotFoundError, CheckpointVersionError. */
export async function inspectRun(given: Store | string | URL, runId: string): Promise<RunDetails> {
  const store = toStore(given)
  const loaded = await loadRun(store, runId, true)
  const { manifest, fingerprint, index, holders, bytes } = loaded
  const live = new Set(holders.map(({ writer }) => writer))
  const { size: conflicts } = await findWinners(store, runId, fingerprint, index)
  const toFile = ({ name, size, report }: LoadedFile) => ({
    name,
    size,
    frames: report.frames,
    torn: report.torn,
    covered: false,
  })
  const covered = index.covered.map(({ name, size }) => ({ name, size, frames: 0, torn: 0, covered: true }))
  return {
    ...toSummary(loaded, runId, bytes),
    identity: manifest?.identity,
    fingerprint,
    task: manifest && `${manifest.identity.task.module}#${manifest.identity.task.export}`,
    createdAt: manifest?.createdAt,
    pawl: manifest?.pawl,
    command: manifest?.command,
    formats: [...new Set(index.files.map(({ name }) => name.slice(name.indexOf('.') + 1)))].sort(),
    files: [...index.files.map(toFile), ...covered].sort((a, b) => (a.name < b.name ? -1 : 1)),
    sessions: index.sessions.map(({ writer, isClosed, beganAt }) => ({
      writer,
      began: beganAt,
      ended: isClosed ? 'closed' : live.has(writer) ? 'live' : 'died',
    })),
    damaged: lossOf(loaded).loss.items,
    conflicts,
    holders: holders.map(({ host, pid, shard, startedAt }) => ({ host, pid, shard, startedAt })),
  }
}

/** None of a run that was just deleted. One that cannot be read is no reason to show none of the others. */
async function summarize(store: Store, runId: string, bytes: number): Promise<RunSummary[]> {
  try {
    return [toSummary(await loadRun(store, runId, false), runId, bytes)]
  } catch (error) {
    if (isRefused(error)) return [unreadable(runId, bytes, explainRefused(runId, error))]
    if (!isPawlError(error)) throw error
    if (error.code === 'ERR_PAWL_RUN_NOT_FOUND') return []
    const claims = await readClaims(store, runId)
    const lastWrite = claims.length > 0 ? Math.max(...claims.map(({ beatAt }) => beatAt)) : undefined
    const live = (await findLive(store, runId, claims, systemClock.today())).length > 0
    return [{ ...unreadable(runId, bytes, error.message), lastWrite, live }]
  }
}

/** A run of which no more is known than `why`. */
function unreadable(runId: string, bytes: number, why: string): RunSummary {
  const nothing = { status: 'partial', done: 0, total: undefined, failures: 0, lastWrite: undefined, live: false } as const
  return { runId, bytes, ...nothing, unreadable: why }
}

function explainRefused(runId: string, error: unknown): string {
  return `Cannot read run '${runId}': expected permission to, got ${messageOf(error)}`
}

function toSummary({ manifest, index, claims, holders, writtenAt }: StoredRun, runId: string, bytes: number): RunSummary {
  const total = index.itemCount
  const { done, failed } = countSettled(index)
  const times = [
    ...writtenAt,
    ...index.sessions.map(({ lastSeenAt }) => lastSeenAt),
    ...claims.map(({ beatAt }) => beatAt),
    ...index.files.map(({ report }) => report.header?.createdAt ?? 0),
    manifest?.createdAt ?? 0,
  ].filter((time) => time > 0)
  const live = holders.length > 0
  return {
    runId,
    status: !live && isFailed(index) ? 'failed' : total !== undefined && done >= total ? 'complete' : 'partial',
    done,
    total,
    failures: failed,
    bytes,
    lastWrite: times.length === 0 ? undefined : times.reduce((a, b) => Math.max(a, b)),
    live,
  }
}
