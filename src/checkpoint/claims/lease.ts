import type { Store } from '../../store/store.ts'
import type { Emit } from '../../types.ts'
import { askForEach } from '../patience/at-once.ts'
import { type Ask, eachCall } from '../patience/each-call.ts'
import { cannotBegin, type Heed } from '../patience/heed.ts'
import { type Beat, type BeatOptions, createBeat } from './beat.ts'
import {
  type Claim,
  type Claimant,
  findClaimants,
  hasEnded,
  isAlive,
  LOOK_MS,
  listWriters,
  locked,
  overlaps,
  readClaims,
  rememberEnded,
  WATCH_MS,
  watched,
} from './claim.ts'

export interface Lease {
  /** Writers of other sessions at work on the run, on other shards, as of the last look. */
  readonly others: readonly string[]
  /** Adds those that have begun since to `others`. */
  lookAgain(): Promise<void>
  /**
   * Raises RunLockedError when any of the others lives, of whatever shard: what concerns all of the run is not to be done then.
   */
  refuseOthers(): Promise<void>
  /** Writers that left a claim and are not at work any more. */
  readonly dead: readonly string[]
  /** Those of them that came to an end by themselves: they died of nothing. */
  readonly ended: readonly string[]
  /** Deletes the claims of the dead, through `store`. */
  bury(store: Store): Promise<void>
  /**
   * True when nothing was beaten for so long that another process may have taken the run over. Stays so until `renew`: as a
   * process that was stopped goes on, its next beat may come before its next write.
   */
  isStale(): boolean
  /** Beats now. Rejects when the store does. */
  renew(): Promise<void>
  /** Stops beating and gives the claim back. */
  release(): Promise<void>
  /**
   * Stops beating and leaves the claim, as that of a session at an end: the log could not be told of it, and lacks its own.
   */
  leave(): Promise<void>
}

export interface LeaseOptions extends BeatOptions {
  /** Ends the wait for a decision. */
  readonly draining?: AbortSignal | undefined
  /** Called between steps, each of which may take its time; what it raises ends the attempt. */
  readonly heed?: Heed | undefined
  /** Makes each call of the store until the run is claimed, maybe more than once. */
  readonly patiently?: Ask | undefined
  readonly emit?: Emit | undefined
  /** Go to work whoever else is at it: for tests of what must hold even then. */
  readonly isIgnored?: boolean | undefined
}

/** Time between beats of a session at work. */
const BEAT_MS = 5000

/**
 * Claims the run. Puts the claim first and looks for others after, so that of two that begin at once at least one sees
 * the other; the one whose name sorts first goes on.
 *
 * @throws RunLockedError when a live session is at work on the run, or on a shard that may have items of this one's, and
 * RunAbortedError when `draining` aborts before that is known, or `heed` raises it.
 */
export async function acquireLease(options: LeaseOptions): Promise<Lease> {
  const { runId, writer, clock, patiently = (call) => call() } = options
  const store = eachCall(options.store, patiently)
  const own = createBeat(options)
  // Around the beat, which has to know of each put that failed: it may come late.
  const claiming = { beat: (isHeld: boolean) => patiently(() => own.beat(isHeld)), withdraw: () => patiently(own.withdraw) }
  const dead = new Set<string>()
  const ended: string[] = []
  const others: string[] = []
  const addOther = (other: string) => {
    if (other !== writer && !dead.has(other) && !others.includes(other)) others.push(other)
  }
  try {
    for (const { writer: other, claim } of await claimRun({ ...options, store }, claiming, dead)) {
      if (claim && isAlive(claim, options.place) === false) dead.add(other)
      if (claim && hasEnded(claim)) ended.push(other)
      addOther(other)
    }
  } catch (error) {
    await giveBack(own, writer)
    throw error
  }
  const { isStale, renew, stop } = keepBeating(own)
  return {
    others,
    lookAgain: async () => (await listWriters(store, runId)).forEach(addOther),
    dead: [...dead],
    ended,
    refuseOthers: async () => {
      const holder = (await readClaims(store, runId, writer)).find((other) => others.includes(other.writer))
      if (holder !== undefined) throw locked(runId, holder, clock.today())
    },
    bury: async (through) => {
      await askForEach([...dead], (writer) => through.delete(`${runId}/lease/${writer}`))
    },
    isStale,
    renew,
    release: async () => {
      await stop()
      await giveBack(own, writer)
    },
    leave: async () => {
      await stop()
      await leaveEnded(own, writer)
    },
  }
}

/** Beats from now on, every BEAT_MS, until `stop` resolves. */
function keepBeating(own: Beat): Pick<Lease, 'isStale' | 'renew'> & { stop(): Promise<void> } {
  let beating: Promise<void> | undefined
  let hasLapsed = false
  const beatOnce = () => {
    hasLapsed ||= own.isOverdue()
    beating ??= own.beat(true).finally(() => {
      beating = undefined
    })
    return beating
  }
  const timer = setInterval(() => beatOnce().catch(() => {}), BEAT_MS).unref()
  return {
    isStale: () => hasLapsed || own.isOverdue(),
    renew: async () => {
      await beatOnce()
      hasLapsed = false
    },
    stop: async () => {
      clearInterval(timer)
      await beating?.catch(() => {})
    },
  }
}

/** Deletes the claim of `writer`, or has it say that its session is at an end. */
function giveBack(own: Beat, writer: string): Promise<void> {
  return remembering(writer, own, own.withdraw().catch(own.end))
}

/** Has the claim of `writer` say that its session is at an end. */
function leaveEnded(own: Beat, writer: string): Promise<void> {
  // A store that took nothing of the log may not take this either. On a full disk there is room for a claim without a word,
  // or that of the old one will do; and none is better than one that looks like that of a killed session.
  const endAnew = () => own.withdraw().then(own.end)
  return remembering(writer, own, own.end().catch(own.endSilently).catch(endAnew))
}

/**
 * Where the store may not know that the session is at an end, this process does: it may go on for long, and use the run again.
 */
async function remembering(writer: string, own: Beat, lastWord: Promise<void>): Promise<void> {
  await lastWord.catch(() => rememberEnded(writer))
  if (own.mayComeLate) rememberEnded(writer)
}

type Claiming = Pick<Beat, 'beat' | 'withdraw'>

/**
 * Resolves when the run is this session's, with all others that have a claim then. Adds sessions whose claims are in the way,
 * and which are at an end, to `dead`.
 */
async function claimRun(options: LeaseOptions, own: Claiming, dead: Set<string>): Promise<readonly Claimant[]> {
  const { store, runId, writer, place, isIgnored, heed } = options
  for (;;) {
    await own.beat(false)
    heed?.()
    if (!isIgnored) await refuseRivals(options, own, dead)
    heed?.()
    await own.beat(true)
    heed?.()
    const others = await findClaimants(store, runId, writer)
    const isFirst = ({ claim }: Claimant) =>
      claim !== undefined &&
      isRival(claim, options) &&
      claim.writer < writer &&
      !dead.has(claim.writer) &&
      isAlive(claim, place) !== false
    if (isIgnored || !others.some(isFirst)) return others
    // The other saw this claim before it was held, and goes on.
    await own.withdraw()
    await pause(options, LOOK_MS * options.clock.random())
  }
}

/** Sleeps for `ms`, unless it is time to stop. */
async function pause({ runId, clock, draining }: LeaseOptions, ms: number): Promise<void> {
  await clock.sleep(ms, draining).catch(() => {})
  if (!draining?.aborted) return
  throw cannotBegin(runId, 'time to see whether another session is at work on it', draining.reason)
}

/**
 * Waits until no other claim is in the way, adds the dead to `dead`, or raises RunLockedError. Beats meanwhile: of two on
 * different machines that begin at once, each would find the other dead.
 */
async function refuseRivals(options: LeaseOptions, own: Claiming, dead: Set<string>): Promise<void> {
  const { store, runId, writer, clock, place, emit } = options
  const seen = new Map<string, { readonly beatAt: number; readonly since: number; readonly hasBeaten: boolean }>()
  for (;;) {
    let isClear = true
    for (const rival of await readClaims(store, runId, writer)) {
      if (!isRival(rival, options) || dead.has(rival.writer)) continue
      const known = seen.get(rival.writer)
      const beats = known !== undefined && known.beatAt !== rival.beatAt
      const { since, hasBeaten } = known !== undefined && !beats ? known : { since: clock.now(), hasBeaten: beats }
      seen.set(rival.writer, { beatAt: rival.beatAt, since, hasBeaten })
      const isHere = isAlive(rival, place)
      if (known === undefined && isHere === undefined && rival.isHeld) emit?.('warning', watched(runId, rival, WATCH_MS))
      const isStill = clock.now() - since >= WATCH_MS
      if (rival.isHeld && (isHere === true || beats)) throw locked(runId, rival, clock.today())
      if (isHere === false || (isHere === undefined && isStill)) dead.add(rival.writer)
      // A live one that still looks: it gives way if this one sorts first, else it decides within a moment.
      else if (rival.isHeld || rival.writer < writer || !(isHere || hasBeaten)) {
        // Or its store does not answer, for as long as it likes.
        if (isStill) throw locked(runId, rival, clock.today())
        isClear = false
      }
    }
    if (isClear) return
    await pause(options, LOOK_MS)
    await own.beat(false)
  }
}

/** It may have items of this session's. */
function isRival(claim: Claim, { shard }: LeaseOptions): boolean {
  return overlaps(claim.shard, shard ?? null)
}
