import { isDeepStrictEqual } from 'node:util'
import { shardOf } from '../../src/items/shard.ts'
import type { Events, Outcome, Report } from '../../src/types.ts'
import { keyOf, type TrueItem } from './items.ts'
import type { Life } from './life.ts'
import type { Scenario } from './scenario.ts'
import type { Deed } from './workers.ts'
import type { Process } from './world.ts'

/** An outcome somebody was told is safe. */
interface Acknowledged {
  readonly at: number
  readonly outcome: Outcome
  readonly by: 'a checkpoint' | 'a report'
}

/** Knows what is true and what was promised, and says where the two part. */
export class Oracle {
  readonly #scenario: Scenario
  readonly #lives: Life[] = []
  readonly #now: () => number
  /** By item. */
  readonly #acknowledged = new Map<number, Acknowledged>()
  /** Read from the store by some session, whether or not it was durable. */
  readonly #seen = new Map<number, number>()
  readonly #everSettled = new Set<number>()
  hasLostPower = false
  #damagedAt = Number.POSITIVE_INFINITY
  violation: string | undefined

  constructor(scenario: Scenario, now: () => number) {
    this.#scenario = scenario
    this.#now = now
  }

  blame(text: string): void {
    this.violation ??= text
  }

  join(life: Life): void {
    this.#lives.push(life)
  }

  lifeOf(process: Process): Life {
    return this.#lives.find((life) => life.process === process) as Life
  }

  get lives(): readonly Life[] {
    return this.#lives
  }

  get acknowledged(): number {
    return this.#acknowledged.size
  }

  started(life: Life, item: TrueItem, attempt: number): void {
    const known = this.#acknowledged.get(item.id)
    const isFinal = known && (known.outcome.status === 'fulfilled' || !this.#scenario.retryFailed)
    if (isFinal && known.at < life.beganAt)
      this.blame(`item ${item.id} is dispatched again, though ${known.by} told at ${known.at.toFixed(2)} that it was recorded`)
    if ((this.#seen.get(item.id) ?? Number.POSITIVE_INFINITY) < life.beganAt)
      this.blame(`item ${item.id} was read from the store once, and is dispatched now`)
    if (life.restored.has(item.id)) this.blame(`item ${item.id} is dispatched, though it was restored`)
    if (life.settled.some(({ key, index }) => this.#idOf(life, index, key) === item.id))
      this.blame(`item ${item.id} is dispatched, though it has settled`)
    const earlier = life.starts.get(item.id)
    if (earlier?.isDone && life.losses === 0) this.blame(`item ${item.id} is dispatched again after it succeeded`)
    const before = earlier?.before ?? attempt - 1
    const count = (earlier?.count ?? 0) + 1
    if (attempt !== before + count) this.blame(`item ${item.id} is told it is attempt ${attempt}, not ${before + count}`)
    if (before > item.starts - count + item.deaths + this.#stoppedBeside(life))
      this.blame(`item ${item.id} is said to have had ${before} attempts before, of ${item.starts} starts in all`)
    life.starts.set(item.id, { count, before, isDone: earlier?.isDone ?? false })
    this.#checkAlone(life)
  }

  ended(life: Life, item: TrueItem, deed: Deed): void {
    if (deed.kind === 'value') Object.assign(life.starts.get(item.id) ?? {}, { isDone: true })
  }

  /** Two at work on the same items, and none of them ever out of touch. */
  #checkAlone(life: Life): void {
    if (this.#scenario.isLeaseIgnored || life.isPaused || life.hasStorms || life.starts.size > 1) return
    for (const other of this.#lives) {
      const isAtWork =
        other !== life && other.process.isAlive && other.endedAt === Number.POSITIVE_INFINITY && other.starts.size > 0
      const overlaps = life.shard === undefined || other.shard === undefined || life.shard === other.shard
      if (isAtWork && overlaps && !other.isPaused && !other.hasStorms)
        this.blame(`${life.process.name} goes to work beside ${other.process.name}`)
    }
  }

  settled(life: Life, outcome: Outcome): void {
    const id = this.#idOf(life, outcome.index, outcome.key)
    const item = this.#scenario.items[id] as TrueItem
    if (life.restored.has(id) || life.settled.some((it) => this.#idOf(life, it.index, it.key) === id))
      this.blame(`item ${id} settles twice`)
    this.#checkTruth(item, outcome, life)
    if (outcome.restored) {
      life.restored.set(id, outcome)
      if (outcome.status === 'fulfilled') this.#seen.set(id, Math.min(this.#seen.get(id) ?? this.#now(), this.#now()))
      return
    }
    life.settled.push(outcome)
    this.#everSettled.add(id)
    const { count = 0, before = 0 } = life.starts.get(id) ?? {}
    if (count > 0 && outcome.attempts !== before + count) {
      this.blame(
        `item ${id} settles with ${outcome.attempts} attempts, having been started ${count} times after ${before} attempts before`,
      )
    }
    const { retry } = this.#scenario
    const isGivenUpEarly =
      outcome.status === 'rejected' && outcome.kind === 'error' && item.nature.kind === 'error' && count < retry.retries + 1
    if (isGivenUpEarly && retry.budget === undefined)
      this.blame(`item ${id} is given up after ${count} attempts of ${retry.retries + 1}`)
  }

  /** The outcome is one the item can have. */
  #checkTruth(item: TrueItem, outcome: Outcome, life: Life): void {
    const { nature, id } = item
    const { maxCrashes, timeout = Number.POSITIVE_INFINITY } = this.#scenario
    if (outcome.attempts > item.starts + item.deaths + this.#stoppedBeside(life))
      this.blame(`item ${id} settles with ${outcome.attempts} attempts, of ${item.starts} starts`)
    if (outcome.status === 'fulfilled') {
      if (!isDeepStrictEqual(outcome.value, item.value)) this.blame(`item ${id} has the wrong value`)
      if (nature.kind !== 'ok' && nature.times === Number.POSITIVE_INFINITY) this.blame(`item ${id} cannot succeed, and did`)
      return
    }
    const { kind } = outcome
    const isPossible = {
      error: nature.kind === 'error' || nature.kind === 'fatal',
      timeout: nature.kind === 'hang' || nature.kind === 'hanging trap' || item.time > timeout - 30,
      crash: item.crashes + item.deaths >= maxCrashes || this.#hadCompany(),
      memory: false,
      serialization: nature.kind === 'unreadable',
    }[kind]
    if (!isPossible)
      this.blame(
        `item ${id} (${nature.kind}) fails in ${life.process.name} with kind ${kind}, which it cannot: ${outcome.reason.message}`,
      )
  }

  beforeCheckpoint(life: Life, { pending }: Events['beforeCheckpoint']): void {
    life.flushing = pending
  }

  afterCheckpoint(life: Life, { recorded }: Events['afterCheckpoint']): void {
    const durable = life.settled.slice(life.flushed, life.flushed + life.flushing)
    if (durable.length !== life.flushing)
      this.blame(`a checkpoint of ${life.flushing} items, of which ${durable.length} have settled`)
    life.flushed += life.flushing
    for (const outcome of durable) this.acknowledge(life, outcome, 'a checkpoint')
    const least = new Set([
      ...life.restored.keys(),
      ...life.settled.slice(0, life.flushed).map((it) => this.#idOf(life, it.index, it.key)),
    ])
    if (recorded < least.size) this.blame(`${recorded} items are said to be recorded, and ${least.size} are`)
    if (recorded > this.#everSettled.size)
      this.blame(`${recorded} items are said to be recorded, and ${this.#everSettled.size} ever settled`)
  }

  acknowledge(life: Life, outcome: Outcome, by: Acknowledged['by']): void {
    const id = this.#idOf(life, outcome.index, outcome.key)
    const known = this.#acknowledged.get(id)
    if (known?.outcome.status === 'fulfilled') return
    this.#acknowledged.set(id, { at: this.#now(), outcome, by })
  }

  powerCut(): void {
    this.hasLostPower = true
    this.#seen.clear()
    if (this.#scenario.durability === 'fsync') return
    this.#acknowledged.clear()
    for (const item of this.#scenario.items) item.deaths += this.#lives.length // Sessions that ended well look as if they had not.
  }

  /** How many other sessions were stopped: to whoever took the run over, each may have died of what it had noted, and not started yet. */
  #stoppedBeside(life: Life): number {
    return this.#lives.filter((other) => other.isPaused && other !== life).length
  }

  /** Whether what sessions left is as they left it: no power was lost, no store failed, and nobody was in the way of another. */
  get isUntouched(): boolean {
    return !this.hasLostPower && !this.#hadCompany()
  }

  /** A file of a session that had ended was damaged. What it had come to may be lost, but not in silence. */
  damaged(life: Life): void {
    this.#damagedAt = this.#now()
    for (const { index, key } of life.settled) {
      const id = this.#idOf(life, index, key)
      this.#acknowledged.delete(id)
      this.#seen.delete(id)
    }
  }

  /** Damage is told of by the first session that goes to work after it, and by none before. */
  #checkDamage(life: Life): void {
    const isTold = (it: Life) => it.beganAt >= this.#damagedAt && it.warnings.has('CHECKPOINT_DAMAGED')
    if (life.beganAt >= this.#damagedAt && !this.#lives.some(isTold)) this.blame('damage is not told of')
    if (life.beganAt < this.#damagedAt && this.isUntouched && life.warnings.has('CHECKPOINT_DAMAGED'))
      this.blame('damage is told of, and there was none')
  }

  /** A reader that began at `began` found these items to be fulfilled. */
  looked(read: ReadonlySet<number>, began: number): void {
    for (const [id, { at, outcome, by }] of this.#acknowledged) {
      const isMissing = at < began && outcome.status === 'fulfilled' && !read.has(id)
      if (isMissing)
        this.blame(
          `item ${id} was recorded, as ${by} told at ${at.toFixed(2)}, and a reader that began at ${began.toFixed(2)} misses it`,
        )
    }
  }

  /** A reader found items with these keys after `life` had completed the run. */
  readBack({ order }: Life, keys: readonly string[]): void {
    const expected = order.map(({ id }) => keyOf(id))
    if (!isDeepStrictEqual(keys, expected)) this.blame(`items are read as ${keys}, and are ${expected}`)
  }

  /** All that a session came to is right, and all that was promised before it is there. */
  reported(life: Life, report: Report, hasResolved: boolean): void {
    const { items } = this.#scenario
    const outcomes = new Map([...life.settled.map((it) => [this.#idOf(life, it.index, it.key), it] as const), ...life.restored])
    const { stats, results, failures, status } = report
    const mine = life.order.filter((item, index) => this.#isMine(life, item, index))
    const succeeded = [...outcomes.values()].filter((it) => it.status === 'fulfilled').length
    this.#expect('restored', stats.restored, life.restored.size)
    // Of those that a drain stopped only it knows whether an attempt had come to its end.
    const ran = new Set([...life.starts.keys(), ...life.settled.map(({ index, key }) => this.#idOf(life, index, key))])
    const most = ran.size + life.losses // One may take its thread down before it is told of.
    if (stats.dispatched < life.settled.length || stats.dispatched > most)
      this.blame(`dispatched: expected ${life.settled.length} to ${most}, got ${stats.dispatched}`)
    this.#expect('succeeded', stats.succeeded, succeeded)
    this.#expect('failed', stats.failed, outcomes.size - succeeded)
    this.#expect('failures', failures.length, outcomes.size - succeeded)
    this.#expect('conflicts', stats.conflicts, 0)
    const mayLack = this.hasLostPower || this.#lives.some(({ hasStorms }) => hasStorms)
    if (!mayLack && life.beganAt < this.#damagedAt) this.#expect('damaged', stats.damaged, 0)
    this.#checkDamage(life)
    if (status === 'complete') this.#expect('items of a complete run', outcomes.size, mine.length)
    if (hasResolved && status !== 'complete') this.blame('a run resolves though it is partial')
    for (const [id, outcome] of outcomes) {
      const index = life.order.indexOf(items[id] as TrueItem)
      if (outcome.index !== index) this.blame(`item ${id} has index ${outcome.index}, not ${index}`)
      if (!this.#scenario.collect) continue
      if (outcome.status === 'fulfilled' && !isDeepStrictEqual(results[index], items[id]?.value))
        this.blame(`results[${index}] is wrong`)
      if (outcome.status === 'rejected' && results[index] !== undefined)
        this.blame(`results[${index}] is there, though the item failed`)
    }
    for (const failure of failures) {
      const item = life.order[failure.index] as TrueItem
      if (!isDeepStrictEqual(failure.item, { id: item.id })) this.blame(`the failure of item ${item.id} names another`)
      if (failure.crashes > item.crashes + item.deaths + this.#stoppedBeside(life))
        this.blame(`item ${item.id} is said to have crashed ${failure.crashes} times`)
      if (failure.lastFailedAt < failure.firstFailedAt && !this.#scenario.isRemote)
        this.blame(`item ${item.id} failed last before it failed first`)
    }
    // A session whose store failed while the record was read runs nothing, and tells of what it had read.
    const isHalfRead = !hasResolved && life.hasStorms && stats.attempts === 0
    if (life.order.length > 0 && !isHalfRead && (status === 'complete' || this.#scenario.source === 'array'))
      this.#checkPromised(life, mine)
    // After a failed sync a file may hold what no disk ever will, and nobody who reads it can tell.
    const isSure = !life.warnings.has('CHECKPOINT_OFF') && !this.#lives.some(({ hasStorms }) => hasStorms)
    if (hasResolved && isSure) for (const outcome of outcomes.values()) this.acknowledge(life, outcome, 'a report')
  }

  /** What was recorded before the session began was answered from the store. */
  #checkPromised(life: Life, mine: readonly TrueItem[]): void {
    for (const { id } of mine) {
      const known = this.#acknowledged.get(id)
      if (!known || known.at >= life.beganAt) continue
      const restored = life.restored.get(id)
      if (known.outcome.status === 'fulfilled' ? restored?.status !== 'fulfilled' : !this.#scenario.retryFailed && !restored) {
        this.blame(`item ${id} was recorded, as ${known.by} told at ${known.at.toFixed(2)}, and is not restored`)
      }
    }
  }

  /**
   * Two may have been at work at once, as nobody should be. Nothing is lost by that, but one may hold the manifest that the
   * other just made to be missing; and of failures both recorded of an item one counts, so that if the other session was
   * killed later, the item is held to have been in flight.
   */
  #hadCompany(): boolean {
    return this.#scenario.isLeaseIgnored || this.#lives.some(({ isPaused, hasStorms }) => isPaused || hasStorms)
  }

  #isMine({ shard }: Life, item: TrueItem, index: number): boolean {
    if (shard === undefined) return true
    return shardOf(index, this.#scenario.isKeyed ? keyOf(item.id) : undefined, this.#scenario.shards) === shard
  }

  #idOf({ order }: Life, index: number, key: string): number {
    const item = order[index]
    if (!item) this.blame(`there is no item ${index}`)
    if (key !== (this.#scenario.isKeyed ? keyOf(item?.id ?? -1) : String(index))) this.blame(`item ${index} has key '${key}'`)
    return item?.id ?? -1
  }

  #expect(what: string, found: number, expected: number): void {
    if (found !== expected) this.blame(`${what}: expected ${expected}, got ${found}`)
  }
}
