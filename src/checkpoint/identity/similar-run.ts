import type { Clock } from '../../clock.ts'
import { isPawlError } from '../../errors.ts'
import { isRecord } from '../../is-record.ts'
import { isRefused } from '../../store/refused.ts'
import type { Store } from '../../store/store.ts'
import type { Emit, Json } from '../../types.ts'
import { option, type Words, wordedWarning, wording } from '../../wording.ts'
import { isAlive, readClaims } from '../claims/claim.ts'
import { timeOf, toRunFile } from '../format/run-file.ts'
import { countSettled } from '../record/item-places.ts'
import { loadIndex } from '../record/load.ts'
import { isFailed } from '../record/verdict.ts'
import type { RunIdentity } from './fingerprint.ts'
import { MAX_MANIFEST_BYTES, type Manifest, parseManifest } from './manifest.ts'
import { listDifferences } from './mismatch.ts'
import { differsInPlaceOnly, endsAlike, type GivenTask, hasSameFile, isSameElsewhere } from './same-file.ts'

interface NewRun extends GivenTask {
  readonly store: Store
  readonly runId: string
  readonly command?: Json
  readonly clock: Clock
  readonly emit: Emit
}

/**
 * Milliseconds after which no further runs are looked at. Much lower, and on a slow store one that is not finished stays unseen;
 * much higher, and each new run beside hundreds of finished ones, or on such a store, begins late.
 */
const MAX_LOOK_MS = 100

/** Runs read at once: one at a time waits for the store most of the time; with many, what they hold of large runs adds up. */
const RUNS_AT_ONCE = 4

/**
 * Tells of an unfinished run of the same task, the newest there is, when a new one begins under a derived id, which hashes task
 * and items: when one of them changed a little, its user may have meant the earlier run. `keys`: all that are in the store.
 */
export async function warnOfSimilar(run: NewRun, keys: readonly string[]): Promise<void> {
  const { clock, emit } = run
  const recorded = findRecorded(keys)
  const began = clock.now()
  for (let at = 0; at < recorded.length && clock.now() - began <= MAX_LOOK_MS; at += RUNS_AT_ONCE) {
    const looks = recorded.slice(at, at + RUNS_AT_ONCE).map((key) => look(run, key).catch(ifRefused))
    const words = (await Promise.all(looks)).find((found) => found !== undefined)
    if (words === undefined) continue
    emit('warning', wordedWarning('SIMILAR_RUN', words))
    return
  }
}

/** What to tell of the run whose manifest is at `key`, if anything. */
async function look(run: NewRun, key: string): Promise<Words | undefined> {
  const { store, runId, identity } = run
  const manifest = await readManifest(store, key)
  if (!manifest || manifest.runId === runId) return undefined
  if (!isSameTask(manifest.identity, identity) && !hasSameFile(manifest, run)) return undefined
  if (hasOtherInput(manifest, run)) return undefined
  const state = await describeUnfinished(store, manifest)
  if (state === undefined || (await isAtWork(run, manifest.runId))) return undefined
  return wording`Starting run '${runId}', though run '${manifest.runId}' of the same task ${state}: ${compare(manifest, run)}`
}

/**
 * True of commands that were given two inputs, as by a loop over files: who names another one does not mean the earlier run,
 * unless it is the same file by a new name. Of keyed items nothing tells that it is.
 */
function hasOtherInput({ command: recorded, identity: { items } }: Manifest, { command, identity }: NewRun): boolean {
  if (!isRecord(recorded) || !isRecord(command)) return false
  if (endsAlike(String(recorded.input), String(command.input))) return false
  return items.digest === undefined || items.digest !== identity.items.digest
}

/** To go on with a run that a live process is at work on would be refused, now. Of one elsewhere that is not known at once. */
async function isAtWork({ store }: NewRun, runId: string): Promise<boolean> {
  return (await readClaims(store, runId)).some((claim) => isAlive(claim) === true)
}

/** The keys of the manifests of runs that have something on record, those first whose last file was begun last. */
function findRecorded(keys: readonly string[]): string[] {
  const times = new Map<string, number>()
  for (const key of keys) {
    const file = toRunFile(key, 0)
    if (file === undefined) continue
    const run = runOf(key)
    times.set(run, Math.max(times.get(run) ?? 0, timeOf(file.stem)))
  }
  const timeOfRun = (key: string) => times.get(runOf(key)) ?? 0
  return keys
    .filter((key) => /^[^/]+\/run\/[^/]+\.json$/.test(key) && times.has(runOf(key)))
    .sort((a, b) => timeOfRun(b) - timeOfRun(a))
}

const runOf = (key: string) => key.slice(0, key.indexOf('/'))

async function readManifest(store: Store, key: string): Promise<Manifest | undefined> {
  const bytes = await store.get(key, { start: 0, length: MAX_MANIFEST_BYTES })
  const manifest = bytes && tryParse(bytes, key)
  return manifest?.runId === runOf(key) ? manifest : undefined
}

/** What is left to do of the run; undefined when it is complete, or nothing of it is on record. */
async function describeUnfinished(store: Store, { runId, fingerprint, identity }: Manifest): Promise<string | undefined> {
  const options = { isKeyed: identity.key !== 'index', isChecked: false, count: identity.items.count }
  const index = await loadIndex(store, runId, fingerprint, options).catch(ifNewer)
  if (index === undefined) return undefined
  const total = index.itemCount
  const { done, failed } = countSettled(index)
  if (done === 0) return undefined
  const settled = `${done} of ${total ?? 'unknown'} items`
  if (isFailed(index)) return `failed (${settled} settled, ${failed} of them failures)`
  return done === total ? undefined : `is unfinished (${settled})`
}

/** What differs, and how to go on with the earlier run. */
function compare(manifest: Manifest, run: NewRun): Words {
  const { runId, identity: recorded, command } = manifest
  const isHere = recorded.task.module === run.identity.task.module
  if (!isHere && differsInPlaceOnly(manifest, run)) return compareIdentical(runId, recorded, run.identity)
  const isElsewhere = isSameElsewhere(manifest, run)
  const differences = listDifferences(recorded, run.identity).map((it) => (isElsewhere && it.part === 'task' ? ELSEWHERE : it))
  const isCommand = command !== undefined
  const [first, ...others] = differences
  const goOn = (says: string) => ({ about: 'that run', says, runId, isCommand, isSame: first === undefined }) as const
  const resume = `give runId: '${runId}'`
  if (first === undefined)
    return wording`task and items are the same, only the name of the run differs. To go on with it, ${goOn(resume)}`
  const list = others.reduce((all: Words, { words }) => wording`${all}, ${words}`, first.words)
  const keep = differences.some(({ part }) => part === 'items')
    ? wording`; where items come and go, give ${option('runId')} and ${option('key')} from the start`
    : ''
  const way = isCommand ? `use 'pawl resume ${runId}'` : `put that back as it was and ${resume}`
  return wording`they differ in ${list}. To go on with it, ${goOn(way)}${keep}`
}

const ELSEWHERE = { part: 'task', words: "the directory that the task's path counts from" } as const

/** All is the same but where it was begun. What a command was given counts from there as well, so `pawl resume` is no way on. */
function compareIdentical(runId: string, recorded: RunIdentity, given: RunIdentity): Words {
  const goOn = { about: 'that run', says: `give runId: '${runId}'`, runId, isCommand: false, isSame: true } as const
  return wording`task and items are the same, only ${ELSEWHERE.words} differs ('${recorded.task.module}' there, '${given.task.module}' here). To go on with it, run it from there, or ${goOn}`
}

/** For `catch`: another run that this user may not read is no reason for this one not to begin. */
function ifRefused(error: unknown): undefined {
  if (!isRefused(error)) throw error
}

/** For `catch`: nor is one of a newer version. */
function ifNewer(error: unknown): undefined {
  if (!isPawlError(error, 'ERR_PAWL_CHECKPOINT_VERSION')) throw error
}

function tryParse(bytes: Uint8Array, key: string): Manifest | undefined {
  try {
    return parseManifest(bytes, key)
  } catch {
    return undefined // Of a newer version, and not the run that was asked for.
  }
}

function isSameTask(a: RunIdentity, b: RunIdentity): boolean {
  return a.task.module === b.task.module && a.task.export === b.task.export
}
