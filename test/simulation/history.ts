import type { Place } from '../../src/checkpoint/claims/place.ts'
import { timeOf } from '../../src/checkpoint/format/run-file.ts'
import { type Chance, createChance } from './chance.ts'
import { Disk } from './disk.ts'
import { countDeaths, type Life, type Told, writerOf } from './life.ts'
import { makeStorms, type Storm } from './line.ts'
import { Oracle } from './oracle.ts'
import { readFulfilled, readKeys } from './reader.ts'
import { createScenario, type Scenario } from './scenario.ts'
import { type End, isExpected, performSession } from './session.ts'
import { type SimulatedStore, simulatedStore } from './store.ts'
import { type Process, Violation, World } from './world.ts'

/** Virtual time a session may take, in ms: far more than the patience of the log, of leases and of breakers together. */
const LIMIT = 1_800_000

/** One run from its first session to its end, as `seed` has it. */
export class History {
  readonly world: World
  readonly #seed: number
  readonly #chance: Chance
  readonly #scenario: Scenario
  readonly #disk = new Disk()
  readonly #oracle: Oracle
  readonly #ends: string[] = []
  #kills = 0
  /** When the session that was killed last began, as its name tells. */
  #killedBegan = 0
  #damages = 0
  #readers = 0
  #powerCuts = 0
  #boots = 0

  /** `name` is that of its task, a number: the planner remembers tasks, so that no two histories may have the same. */
  constructor(seed: number, isTraced: boolean) {
    this.#seed = seed
    this.#chance = createChance(seed)
    this.#scenario = createScenario(this.#chance)
    this.world = new World(this.#chance, isTraced)
    this.#oracle = new Oracle(this.#scenario, () => this.world.time)
    if (isTraced) this.world.lines?.push(JSON.stringify(this.#scenario))
  }

  blame(text: string): void {
    this.#oracle.blame(text)
  }

  async tell(): Promise<Told> {
    try {
      await this.#happen()
    } catch (error) {
      if (!(error instanceof Violation)) throw error
      this.#oracle.blame(error.message)
    }
    return {
      seed: this.#seed,
      violation: this.#oracle.violation,
      lines: this.world.lines ?? [],
      sessions: this.#oracle.lives.length,
      kills: this.#kills,
      powerCuts: this.#powerCuts,
      damages: this.#damages,
      acknowledged: this.#oracle.acknowledged,
      ends: this.#ends,
    }
  }

  async #happen(): Promise<void> {
    const { badSessions, shards, paired, readers } = this.#scenario
    for (let session = 0; session < badSessions; session++) {
      const first = this.#begin(this.#anyShard(), true)
      const others = this.#chance.is(paired) ? [this.#begin(this.#anyShard(), true, this.#chance.wait(100))] : []
      for (let left = this.#chance.wait(readers); left > 0.5; left--) this.#look(this.#chance.wait(300))
      await this.#until([first, ...others])
      await this.#wait(this.#chance.pick([0, 20, 20_000]))
    }
    if (this.#scenario.isDamaged) this.#damage()
    for (let shard = 0; shard < shards && shards > 1; shard++) await this.#finish(shard)
    await this.#finish(undefined)
    if (this.#scenario.isKeyed && this.#ends.at(-1) === 'complete') await this.#readBack(this.#oracle.lives.at(-1) as Life)
    if (this.#chance.is(0.5)) return
    if (this.#chance.is(0.6)) this.#cutPower()
    await this.#until([this.#begin(undefined, false)])
  }

  /** Sessions that are left alone, until one ends for good. */
  async #finish(shard: number | undefined): Promise<void> {
    const { items, maxCrashes } = this.#scenario
    const killers = items.filter(({ nature }) => nature.kind === 'abort').length
    for (let session = 0; session < 20 + 10 * killers * (maxCrashes + 1); session++) {
      const life = this.#begin(shard, false)
      await this.#until([life])
      const end = this.#ends.at(-1)
      if (end === 'complete' || end === 'ERR_PAWL_RUN_FAILED') return
      if (end === 'ERR_PAWL_CIRCUIT_OPEN' && session > 3) return
      await this.#wait(this.#chance.pick([0, 1000]))
    }
    this.blame(`not at an end after sessions that were left alone: ${this.#ends.slice(-5)}`)
  }

  #anyShard(): number | undefined {
    const { shards } = this.#scenario
    return shards > 1 ? this.#chance.int(0, shards - 1) : undefined
  }

  async #wait(delay: number): Promise<void> {
    let isOver = false
    // No process comes up within the millisecond in which another began and died: by their names either would be the later one.
    const isSudden = this.#oracle.lives.at(-1)?.process.clock.today() === this.#killedBegan
    this.world.in(isSudden ? Math.max(delay, 1) : delay, undefined, () => {
      isOver = true
    })
    await this.#run(() => isOver)
  }

  async #until(lives: readonly Life[]): Promise<void> {
    await this.#run(() => lives.every((life) => life.endedAt < Number.POSITIVE_INFINITY))
  }

  async #run(isOver: () => boolean): Promise<void> {
    await this.world.run(() => isOver() || this.#oracle.violation !== undefined, this.world.time + LIMIT)
    if (this.#oracle.violation !== undefined) throw new Violation(this.#oracle.violation)
  }

  #cutPower(): void {
    this.world.trace(() => 'power cut')
    this.#powerCuts++
    this.#boots++
    for (const process of this.world.processes) this.world.kill(process)
    this.#disk.cutPower(this.#chance)
    this.#oracle.powerCut()
  }

  /** Changes a bit in a file of a session that ended well, so that nothing but damage can explain it. */
  #damage(): void {
    const keys = this.#disk.keys()
    // What a snapshot stands for is not read, and a reader at work may find more than is told here.
    if (!this.#oracle.isUntouched || this.#readers > 0 || keys.some((key) => key.includes('/snap/'))) return
    const left = this.#oracle.lives.filter(({ process, writer }) => process.isAlive && writer !== '')
    const files = left.flatMap((life) => keys.filter((key) => key.includes(`/seg/${life.writer}-`)).map((key) => ({ key, life })))
    if (files.length === 0) return
    const { key, life } = this.#chance.pick(files)
    this.world.trace(() => `${key} is damaged`)
    this.#disk.damage(key, this.#chance)
    this.#damages++
    this.#oracle.damaged(life)
  }

  /** A session, in `delay` ms from now; `isExposed` to whatever may befall it. */
  #begin(shard: number | undefined, isExposed: boolean, delay = 0): Life {
    const { world } = this
    const { items, isKeyed, stormy } = this.#scenario
    const process = world.spawn(
      `session ${this.#oracle.lives.length + 1}`,
      this.#scenario.isRemote ? this.#chance.int(-50, 50) : 0,
    )
    const storms = isExposed && this.#chance.is(stormy) ? makeStorms(this.#chance, world.time + delay) : []
    const life: Life = {
      ...{ process, shard, hasStorms: storms.length > 0, beganAt: world.time + delay, endedAt: Number.POSITIVE_INFINITY },
      order: isKeyed ? this.#chance.shuffle(items) : items,
      ...{ isPaused: false, isDrained: false, losses: 0, flushed: 0, flushing: 0 },
      ...{ starts: new Map(), restored: new Map(), settled: [], warnings: new Set<string>(), writer: '' },
    }
    this.#oracle.join(life)
    const abort = new AbortController()
    const store = this.#connect(process, storms)
    process.onKill.push(() => this.#bury(life, store.claims))
    if (isExposed) this.#expose(life, abort)
    const place = this.#placeOf(life)
    const session = { world, scenario: this.#scenario, oracle: this.#oracle, life, store, abort, name: `${this.#seed}`, place }
    const begin = async () => {
      world.trace(() => `begins, shard ${shard}`)
      const end = await performSession(session)
      life.writer = writerOf(store.claims)
      this.#end(life, end, store.pending.size)
      this.#announceEnd(store.claims)
    }
    world.in(delay, process, () => {
      begin().catch((error) => this.blame(`the simulation itself failed: ${(error as Error).stack}`))
    })
    return life
  }

  #connect(process: Process, storms: readonly Storm[]): SimulatedStore {
    const { canGrow, latency, isRemote } = this.#scenario
    const isAble = canGrow === 'sometimes' ? this.#chance.is(0.5) : canGrow
    return simulatedStore({ world: this.world, disk: this.#disk, process, storms, latency, isRemote, canGrow: isAble })
  }

  /** Another process looks at the run, in `delay` ms from now, whoever is at work on it: what was acknowledged is there to be read. */
  #look(delay: number): void {
    const { world } = this
    const reader = this.#read(delay, async (store) => {
      const [runId] = this.#disk.keys().map((key) => key.slice(0, key.indexOf('/')))
      const began = world.time
      if (runId !== undefined) this.#oracle.looked(await readFulfilled(store, runId, this.#scenario.isKeyed), began)
    })
    const strike = () => {
      reader.pausedUntil = world.time + this.#chance.wait(500)
    }
    reader.faults.push({ at: this.#chance.int(1, 8), strike })
  }

  /** What the last session, which nobody disturbed, leaves to be read. */
  async #readBack(life: Life): Promise<void> {
    let isOver = false
    this.#read(0, async (store) => {
      this.#oracle.readBack(life, await readKeys(store, 'run'))
      isOver = true
    })
    await this.#run(() => isOver)
  }

  /** A process that only reads. */
  #read(delay: number, read: (store: SimulatedStore) => Promise<void>): Process {
    const process = this.world.spawn('reader', 0)
    const store = this.#connect(process, [])
    this.#readers++
    this.world.in(delay, process, () => {
      const unlessGone = (error: Error & { code?: string }) => {
        if (error.code !== 'ERR_PAWL_RUN_NOT_FOUND') this.blame(`a reader ends with ${error.stack}`)
      }
      read(store)
        .catch(unlessGone)
        .finally(() => this.#readers--)
    })
    return process
  }

  /** Chooses what befalls a session: kills, power cuts, pauses, drains, after so many things have happened to it. */
  #expose(life: Life, abort: AbortController): void {
    const { world } = this
    const { process } = life
    const span = 40 + this.#scenario.items.length * 12
    const fate = this.#chance.next()
    const at = this.#chance.int(1, this.#chance.is(0.3) ? 60 : span)
    if (this.#chance.is(this.#scenario.paused)) {
      const pause = this.#chance.pick(this.#scenario.pauses)
      const strike = () => {
        life.isPaused = true
        process.pausedUntil = world.time + pause
        world.trace(() => `${process.name} is stopped for ${pause} ms`)
      }
      process.faults.push({ at: this.#chance.int(1, Math.max(1, at - 1)), strike })
    }
    if (fate < 0.55) process.faults.push({ at: at + 1, strike: () => world.kill(process) })
    else if (fate < 0.7) process.faults.push({ at: at + 1, strike: () => this.#cutPower() })
    else if (fate < 0.85) {
      const strike = () => {
        life.isDrained = true
        world.in(0, process, () => abort.abort(new Error('drained')))
      }
      process.faults.push({ at: at + 1, strike })
    }
  }

  #bury(life: Life, claims: ReadonlySet<string>): void {
    if (life.endedAt < Number.POSITIVE_INFINITY) return
    this.#kills++
    this.#killedBegan = timeOf(writerOf(claims))
    life.endedAt = this.world.time
    this.#ends.push('killed')
    countDeaths(life)
    this.#announceEnd(claims)
  }

  /** The machine that the next session is on can tell that the process is gone. */
  #announceEnd(claims: ReadonlySet<string>): void {
    if (this.#scenario.isRemote) return
    for (const key of claims) {
      const content = this.#disk.read(key)
      if (!content?.size) continue // Gone, or says itself that it is at an end.
      const claim = JSON.parse(content.bytes.toString('utf8', 0, content.size))
      this.#disk.put(key, Buffer.from(JSON.stringify({ ...claim, pid: NO_PROCESS })), true, false)
    }
  }

  #end(life: Life, { report, error }: End, calls: number): void {
    life.endedAt = this.world.time
    const end = report?.status ?? error?.code ?? `${error?.name}`
    this.#ends.push(end)
    this.world.trace(() => `ends: ${end} ${error?.message ?? ''}`)
    const told = report ?? error?.report
    if (told) this.#oracle.reported(life, told, report !== undefined)
    // Nobody could note in the store that it ended well.
    if (life.hasStorms) countDeaths(life)
    const timers = life.process.timers.size
    if (timers > 0) this.blame(`${timers} timers are left ${[...life.process.timers].map(({ origin }) => origin)}`)
    // A store that is too slow for a session that was told to end is not waited for.
    if (calls > 0 && !(life.hasStorms && life.isDrained)) this.blame(`${calls} calls of the store are left`)
    if (error && !isExpected(error, life, this.#oracle.lives, this.#scenario)) this.blame(`a session ends with ${error.stack}`)
  }

  #placeOf({ process }: Life): Place {
    if (this.#scenario.isRemote) return { ...HERE, host: process.name, bootId: process.name }
    return { ...HERE, bootId: `boot ${this.#boots}` }
  }
}

/** This process, whose being alive stands for that of every session that was not killed. */
const HERE: Place = { host: 'here', bootId: '', pidNamespace: 'here', pid: process.pid, processStart: '' }

/** No system gives out a number as high. */
const NO_PROCESS = 2 ** 30
