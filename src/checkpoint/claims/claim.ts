import { RunLockedError } from '../../errors.ts'
import type { Store } from '../../store/store.ts'
import { askForEach } from '../patience/at-once.ts'
import { livesAt, NOWHERE, type Place } from './place.ts'

/**
 * A session's claim on a run, as the store holds it under `<runId>/lease/<writer>`, in JSON; empty once the session is at an end
 * and the store had no room to say so. Times in milliseconds since 1970.
 */
export interface Claim extends Place {
  readonly writer: string
  /** `K/N`, null for all of the run. */
  readonly shard: string | null
  readonly startedAt: number
  /** False while the claimant still looks for others. */
  readonly isHeld: boolean
  /** True when the session is at an end, and could not say so in its log. */
  readonly isEnded: boolean
  /** When it last beat; tells a live session from one that left this behind. */
  readonly beatAt: number
}

/**
 * A claim whose last beat is older than this is listed as dead. Larger than the time after which it is taken over (WATCH_MS) by
 * what clocks may differ.
 */
const LISTED_MS = 60_000

/**
 * A claim from elsewhere that does not beat for this long is taken over; and a live session that does not is not waited for to
 * decide.
 */
export const WATCH_MS = 15_000

/** Between looks at others that are about to decide, or at a claim that is watched. */
export const LOOK_MS = 1000

const MAX_CLAIM_BYTES = 65_536

/** A session that has a claim on a run. */
export interface Claimant {
  readonly writer: string
  /** undefined: it cannot be read. */
  readonly claim: Claim | undefined
}

/** Who has a claim on the run now, but for the session `own`. */
export async function findClaimants(store: Store, runId: string, own?: string): Promise<Claimant[]> {
  const keys = (await store.list(`${runId}/lease/`)).map(({ key }) => key)
  const claimants = await askForEach(
    keys.filter((key) => claimantOf(key) !== own),
    async (key): Promise<Claimant[]> => {
      const bytes = await store.get(key, { start: 0, length: MAX_CLAIM_BYTES })
      const writer = claimantOf(key)
      return bytes ? [{ writer, claim: parseClaim(bytes, writer) }] : []
    },
  )
  return claimants.flat()
}

/** Claims on the run as they are, but for that of the session `own`; what cannot be read is left out. */
export async function readClaims(store: Store, runId: string, own?: string): Promise<Claim[]> {
  return (await findClaimants(store, runId, own)).flatMap(({ claim }) => claim ?? [])
}

/** The writers of sessions that left a claim, live or dead. */
export async function listWriters(store: Store, runId: string): Promise<Set<string>> {
  const claims = await store.list(`${runId}/lease/`)
  return new Set(claims.map(({ key }) => claimantOf(key)))
}

function claimantOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}

/**
 * True when the claim is a live session's, as far as a single look can tell: of one from elsewhere by clocks that may differ, so
 * it takes a watch to know that it is dead (holders.ts). `writtenAt`: when the store says that it last beat.
 */
export function seemsAlive(claim: Claim, today: number, writtenAt?: number): boolean {
  const times = writtenAt === undefined ? [claim.beatAt] : [claim.beatAt, writtenAt]
  return isAlive(claim) ?? times.some((time) => Math.abs(today - time) < LISTED_MS)
}

/** Those of the claims on a run that seem to be of live sessions. */
export async function findLive(store: Store, runId: string, claims: readonly Claim[], today: number): Promise<Claim[]> {
  const areLive = await askForEach(claims, async (claim) => {
    const isElsewhere = isAlive(claim) === undefined
    const writtenAt = isElsewhere ? await store.modifiedAt?.(`${runId}/lease/${claim.writer}`) : undefined
    return seemsAlive(claim, today, writtenAt)
  })
  return claims.filter((_, at) => areLive[at])
}

/** What to tell while it is not known whether the claimant of a run is at work. */
export function watched(runId: string, { pid, host }: Claim, waitMs: number): { code: string; message: string } {
  const message = `Run '${runId}' was last at work in process ${pid} on ${nameHost(host)}: waiting for up to ${waitMs / 1000} s to see whether it still is`
  return { code: 'RUN_WATCHED', message }
}

/** The error of whoever finds the run taken by the claimant. */
export function locked(runId: string, claim: Claim, today: number): RunLockedError {
  const { pid, host, startedAt } = claim
  const isOwn = pid === process.pid && livesAt(claim) === true
  return new RunLockedError(runId, { pid, host: nameHost(host), age: Math.max(0, today - startedAt) }, isOwn)
}

/** A claim may say anything. Names of hosts have 253 characters at most. */
function nameHost(host: string): string {
  return host.length > 253 ? `${host.slice(0, 253)}…` : host
}

/**
 * Whether sessions of the two shards (`K/N`, null for all of the run) may have an item in common. Items are dealt out by
 * `hash % N`, so those of K/N and J/M have one unless K and J differ by the greatest divisor that N and M share.
 */
export function overlaps(shard: string | null, other: string | null): boolean {
  if (shard === null || other === null) return true
  const [place = 0, count = 1] = shard.split('/').map(Number)
  const [otherPlace = 0, otherCount = 1] = other.split('/').map(Number)
  const gap = (place - otherPlace) % greatestDivisor(count, otherCount)
  return gap === 0 || Number.isNaN(gap)
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 || Number.isNaN(b) ? a : greatestDivisor(b, a % b)
}

/** Writers of sessions of this process that are at an end, though their claims could be neither changed nor let go. */
const ended = new Set<string>()

/** Has every look from this process find the session of `writer` at an end; those from others, once the process is. */
export function rememberEnded(writer: string): void {
  ended.add(writer)
}

/** Whether the session came to an end by itself, without a word of it in its log. */
export function hasEnded({ isEnded, writer }: Claim): boolean {
  return isEnded || ended.has(writer)
}

/**
 * Whether the claimant's process lives, and the session in it; undefined when it is elsewhere, so that this machine cannot tell.
 */
export function isAlive(claim: Claim, here?: Place): boolean | undefined {
  return hasEnded(claim) ? false : livesAt(claim, here)
}

function parseClaim(bytes: Uint8Array, writer: string): Claim | undefined {
  if (bytes.byteLength === 0) return { writer, shard: null, startedAt: 0, isHeld: false, isEnded: true, beatAt: 0, ...NOWHERE }
  try {
    const claim = JSON.parse(Buffer.from(bytes).toString())
    const texts = [claim.host, claim.bootId, claim.pidNamespace, claim.processStart]
    const numbers = [claim.pid, claim.startedAt, claim.beatAt]
    const isShard = claim.shard === null || typeof claim.shard === 'string'
    if (!texts.every((text) => typeof text === 'string') || !numbers.every(Number.isFinite) || !isShard) return undefined
    return { ...claim, writer, pid: Math.trunc(claim.pid), isHeld: claim.isHeld === true, isEnded: claim.isEnded === true }
  } catch {
    return undefined
  }
}
