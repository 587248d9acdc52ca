import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'
import type { Clock } from '../clock.ts'
import { RunLockedError } from '../errors.ts'
import type { Store } from '../store/store.ts'

/** A session's claim on a run, as the store holds it under `<runId>/lease/<writer>`, in JSON. Times in milliseconds since 1970. */
export interface Claim extends Place {
  readonly writer: string
  /** `K/N`, null for all of the run. */
  readonly shard: string | null
  readonly startedAt: number
  /** False while the claimant still looks for others. */
  readonly isHeld: boolean
  /** When it last beat; tells a live session from one that left this behind. */
  readonly beatAt: number
}

/** Where a process is, so that another can tell whether it lives. */
export interface Place {
  readonly host: string
  /** Of the running kernel; '' where there is none to be had. */
  readonly bootId: string
  readonly pidNamespace: string
  readonly pid: number
  /** In clock ticks since boot; '' where it cannot be told. */
  readonly processStart: string
}

export interface Lease {
  /** Writers of other sessions at work on the run, on other shards. */
  readonly others: readonly string[]
  /** Raises RunLockedError when any of the others lives, of whatever shard: what concerns all of the run is not to be done then. */
  refuseOthers(): Promise<void>
  /** Writers that left a claim and are not at work any more. */
  readonly dead: readonly string[]
  /** Deletes the claims of the dead. */
  bury(): Promise<void>
  /**
   * True when nothing was beaten for so long that another process may have taken the run over. Stays so until `renew`: as a
   * process that was stopped goes on, its next beat may come before its next write.
   */
  isStale(): boolean
  /** Beats now. Rejects when the store does. */
  renew(): Promise<void>
  /** Stops beating and gives the claim back. */
  release(): Promise<void>
}

export interface LeaseOptions {
  readonly store: Store
  readonly runId: string
  readonly writer: string
  readonly shard: string | undefined
  readonly clock: Clock
  /** Go to work whoever else is at it: for tests of what must hold even then. */
  readonly isIgnored?: boolean | undefined
  /** Where this process says it is: for tests. */
  readonly place?: Place | undefined
}

/** Time between beats. */
const BEAT_MS = 5000

/** A claim from elsewhere that does not beat for this long is taken over. */
const WATCH_MS = 15_000

/** Without a beat for this long, a session no longer takes the run for its own; with margin to WATCH_MS. */
const STALE_MS = 10_000

/** A claim whose last beat is older than this is listed as dead. Larger than WATCH_MS by what clocks may differ. */
const LISTED_MS = 60_000

/** Between looks at others that are about to decide, or at a claim that is watched. */
const LOOK_MS = 1000
const MAX_CLAIM_BYTES = 65_536

/**
 * Claims the run. Puts the claim first and looks for others after, so that of two that begin at once at least one sees
 * the other; the one whose name sorts first goes on.
 *
 * @throws RunLockedError when a live session is at work on the run, or on the same shard of it.
 */
export async function acquireLease(options: LeaseOptions): Promise<Lease> {
  const { store, runId, writer, clock } = options
  const key = `${runId}/lease/${writer}`
  const claim = { writer, shard: options.shard ?? null, startedAt: clock.today(), ...(options.place ?? herePlace()) }
  const put = (isHeld: boolean) =>
    store.put(key, Buffer.from(JSON.stringify({ ...claim, isHeld, beatAt: clock.today() })), { durable: false, replace: true })

  const dead = new Set<string>()
  let listed: string[]
  let beganAt = clock.now()
  let beganToday = clock.today()
  try {
    for (;;) {
      await put(false)
      if (!options.isIgnored) await refuseOthers(options, key, dead)
      beganAt = clock.now()
      beganToday = clock.today()
      await put(true)
      const rivals = options.isIgnored ? [] : await listRivals(options, key)
      if (!rivals.some((rival) => rival.writer < writer && !dead.has(rival.writer) && isAlive(rival, options.place) !== false))
        break
      // The other saw this claim before it was held, and goes on.
      await store.delete(key)
      await clock.sleep(LOOK_MS * clock.random())
    }
    for (const other of await readClaims(store, runId)) if (isAlive(other, options.place) === false) dead.add(other.writer)
    listed = (await store.list(`${runId}/lease/`)).map((object) => object.key.slice(object.key.lastIndexOf('/') + 1))
  } catch (error) {
    await store.delete(key).catch(() => {})
    throw error
  }

  let beating: Promise<void> | undefined
  let hasLapsed = false
  // By both clocks: the monotonic one stands still while the machine is suspended. A jump of the other costs a new segment.
  const isOverdue = () => clock.now() - beganAt > STALE_MS || Math.abs(clock.today() - beganToday) > STALE_MS
  const beatOnce = () => {
    beating ??= beat().finally(() => {
      beating = undefined
    })
    return beating
  }
  const beat = async () => {
    const start = clock.now()
    const today = clock.today()
    hasLapsed ||= isOverdue()
    await put(true)
    beganAt = start
    beganToday = today
  }
  const timer = setInterval(() => beatOnce().catch(() => {}), BEAT_MS).unref()
  const others = listed.filter((other) => other !== writer && !dead.has(other))
  return {
    others,
    dead: [...dead],
    refuseOthers: async () => {
      const holder = (await readClaims(store, runId)).find((other) => others.includes(other.writer))
      if (holder !== undefined) throw locked(runId, holder, clock)
    },
    bury: async () => {
      for (const writer of dead) await store.delete(`${runId}/lease/${writer}`)
    },
    isStale: () => hasLapsed || isOverdue(),
    renew: async () => {
      await beatOnce()
      hasLapsed = false
    },
    release: async () => {
      clearInterval(timer)
      await beating?.catch(() => {})
      await store.delete(key).catch(() => {})
    },
  }
}

/** Claims on the run as they are; what cannot be read is left out. */
export async function readClaims(store: Store, runId: string): Promise<Claim[]> {
  const claims: Claim[] = []
  for (const { key } of await store.list(`${runId}/lease/`)) {
    const bytes = await store.get(key, { start: 0, length: MAX_CLAIM_BYTES })
    const claim = bytes && parseClaim(bytes, key.slice(key.lastIndexOf('/') + 1))
    if (claim) claims.push(claim)
  }
  return claims
}

/** True when the claim is a live session's, as far as a single look can tell. */
export function seemsAlive(claim: Claim, today: number): boolean {
  return isAlive(claim) ?? Math.abs(today - claim.beatAt) < LISTED_MS
}

/** Waits until no other claim is in the way, adds the dead to `dead`, or raises RunLockedError. */
async function refuseOthers(options: LeaseOptions, key: string, dead: Set<string>): Promise<void> {
  const { runId, writer, clock } = options
  const seen = new Map<string, { readonly beatAt: number; readonly since: number }>()
  for (;;) {
    let isClear = true
    for (const rival of await listRivals(options, key)) {
      if (dead.has(rival.writer)) continue
      const life = isAlive(rival, options.place)
      const known = seen.get(rival.writer)
      if (life === true && rival.isHeld) throw locked(runId, rival, clock)
      if (known !== undefined && known.beatAt !== rival.beatAt && rival.isHeld) throw locked(runId, rival, clock)
      if (known === undefined) seen.set(rival.writer, { beatAt: rival.beatAt, since: clock.now() })
      const isGone = life === false || (known !== undefined && clock.now() - known.since >= WATCH_MS)
      if (isGone) dead.add(rival.writer)
      // A live one that still looks: it gives way if this one sorts first, else it decides within a moment.
      else if (life !== true || rival.writer < writer) isClear = false
    }
    if (isClear) return
    await clock.sleep(LOOK_MS)
  }
}

async function listRivals({ store, runId, shard }: LeaseOptions, key: string): Promise<Claim[]> {
  const claims = await readClaims(store, runId)
  return claims.filter((claim) => `${runId}/lease/${claim.writer}` !== key && overlaps(claim.shard, shard ?? null))
}

/** Sessions of two shards may work at once; one of the whole run, or of the same shard, is in the way. */
function overlaps(shard: string | null, other: string | null): boolean {
  return shard === null || other === null || shard === other
}

function locked(runId: string, { pid, host, startedAt }: Claim, clock: Clock): RunLockedError {
  return new RunLockedError(runId, { pid, host, age: Math.max(0, clock.today() - startedAt) })
}

/** Whether the claimant's process lives; undefined when it is elsewhere, so that this machine cannot tell. */
function isAlive(claim: Claim, here: Place = herePlace()): boolean | undefined {
  if (claim.host !== here.host || claim.bootId !== here.bootId || claim.pidNamespace !== here.pidNamespace) return undefined
  if (here.processStart !== '') return claim.processStart !== '' && processStart(claim.pid) === claim.processStart
  try {
    process.kill(claim.pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function herePlace(): Place {
  return {
    host: hostname(),
    bootId: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: attempt(() => readlinkSync('/proc/self/ns/pid')),
    pid: process.pid,
    processStart: processStart(process.pid),
  }
}

/** When the process began; '' when there is none, or it has ended and waits for its parent to notice. */
function processStart(pid: number): string {
  // The name, in parentheses, may hold anything; state and start are fields 3 and 22.
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return /[ZX]/.test(fields[0] ?? 'Z') ? '' : (fields[19] ?? '')
}

function attempt(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}

function parseClaim(bytes: Uint8Array, writer: string): Claim | undefined {
  try {
    const claim = JSON.parse(Buffer.from(bytes).toString())
    const texts = [claim.host, claim.bootId, claim.pidNamespace, claim.processStart]
    const numbers = [claim.pid, claim.startedAt, claim.beatAt]
    const isShard = claim.shard === null || typeof claim.shard === 'string'
    if (!texts.every((text) => typeof text === 'string') || !numbers.every(Number.isFinite) || !isShard) return undefined
    return { ...claim, writer, pid: Math.trunc(claim.pid), isHeld: claim.isHeld === true }
  } catch {
    return undefined
  }
}
