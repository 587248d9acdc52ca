import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import timers from 'node:timers'
import type { Clock } from '../../src/clock.ts'
import type { Chance } from './chance.ts'

/** A promise that does not hold, as a history found. */
export class Violation extends Error {}

/** A life of a program: what it set up ends with it. Only what belongs to a live process goes on. */
export interface Process {
  readonly name: string
  readonly clock: Clock
  readonly timers: Set<Timer>
  isAlive: boolean
  /** Stopped (SIGSTOP) until then, on the world's time. */
  pausedUntil: number
  /** Things that happened to it so far. */
  events: number
  /** What befalls it after so many of them, the first one first. */
  readonly faults: { readonly at: number; readonly strike: () => void }[]
  /** Called as it is killed. */
  readonly onKill: (() => void)[]
}

interface Happening {
  time: number
  readonly order: number
  readonly process: Process | undefined
  readonly action: () => void
  isCancelled: boolean
}

/** Wall-clock time at which histories begin. */
const BEGIN = 1_700_000_000_000

const realImmediate = setImmediate
const turn = () => new Promise<void>((resolve) => realImmediate(resolve))

/**
 * Virtual time and what happens in it, one thing after the other. After each, the event loop turns once, so that all
 * promises it settled have been followed to where they wait for something else that will happen.
 */
export class World {
  time = 0
  readonly chance: Chance
  readonly processes: Process[] = []
  /** Whose doing everything is until the event loop turns. */
  current: Process | undefined
  readonly lines: string[] | undefined
  readonly #heap: Happening[] = []
  #order = 0

  constructor(chance: Chance, isTraced: boolean) {
    this.chance = chance
    this.lines = isTraced ? [] : undefined
  }

  trace(text: () => string): void {
    this.lines?.push(`${this.time.toFixed(2).padStart(10)} ${this.current?.name ?? '-'} ${text()}`)
  }

  /** `action` in `delay` ms, unless `process` is dead by then. */
  in(delay: number, process: Process | undefined, action: () => void): Happening {
    const happening = { time: this.time + delay, order: this.#order++, process, action, isCancelled: false }
    this.#push(happening)
    return happening
  }

  spawn(name: string, skew: number): Process {
    const began = this.time
    const process: Process = {
      name,
      timers: new Set(),
      isAlive: true,
      pausedUntil: 0,
      events: 0,
      faults: [],
      onKill: [],
      clock: {
        now: () => this.time - began,
        today: () => Math.floor(BEGIN + this.time + skew),
        random: () => this.chance.next(),
        sleep: (ms, signal) => this.#sleep(process, ms, signal),
      },
    }
    this.processes.push(process)
    return process
  }

  kill(process: Process): void {
    if (!process.isAlive) return
    process.isAlive = false
    this.trace(() => `${process.name} is killed after ${process.events} events`)
    for (const tell of process.onKill) tell()
  }

  /** Lets things happen until `isOver`. Raises a Violation when that takes longer than until `limit`, or nothing is left to happen. */
  async run(isOver: () => boolean, limit: number): Promise<void> {
    while (!isOver()) {
      const next = this.#pop()
      if (!next) throw new Violation('nothing is left to happen, and somebody still waits')
      const { process } = next
      if (next.isCancelled || process?.isAlive === false) continue
      if (process && process.pausedUntil > next.time) {
        next.time = process.pausedUntil
        this.#push(next)
        continue
      }
      if (next.time > limit) throw new Violation(`no end by ${limit} ms`)
      this.time = next.time
      this.current = process
      if (process) process.events++
      next.action()
      if (process) await turn()
      this.current = undefined
      if (process && process.faults[0]?.at === process.events) process.faults.shift()?.strike()
    }
  }

  #sleep(process: Process, ms: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        timer.cancel()
        reject(signal?.reason)
      }
      const timer = new Timer(this, process, ms, undefined, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  #push(happening: Happening): void {
    const heap = this.#heap
    let at = heap.push(happening) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!isBefore(happening, heap[parent] as Happening)) break
      heap[at] = heap[parent] as Happening
      at = parent
    }
    heap[at] = happening
  }

  #pop(): Happening | undefined {
    const heap = this.#heap
    const first = heap[0]
    const last = heap.pop()
    if (!first || !last || heap.length === 0) return first
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1] as Happening, heap[child] as Happening)) child++
      if (!isBefore(heap[child] as Happening, last)) break
      heap[at] = heap[child] as Happening
      at = child
    }
    heap[at] = last
    return first
  }
}

function isBefore(a: Happening, b: Happening): boolean {
  return a.time !== b.time ? a.time < b.time : a.order < b.order
}

/** What `setTimeout` and its like give, on virtual time. */
class Timer {
  /** Who set it, when that is traced. */
  readonly origin: string | undefined
  readonly #process: Process
  #happening: Happening

  constructor(world: World, process: Process, ms: number, period: number | undefined, action: () => void) {
    this.origin = world.lines && new Error('a timer').stack
    this.#process = process
    if (ms > 0) process.timers.add(this) // An immediate is over before anybody can wait for it.
    const ring = () => {
      if (period === undefined) process.timers.delete(this)
      else this.#happening = world.in(period, process, ring)
      action()
    }
    this.#happening = world.in(ms, process, ring)
  }

  cancel(): void {
    this.#happening.isCancelled = true
    this.#process.timers.delete(this)
  }

  ref = () => this
  unref = () => this
  hasRef = () => true
}

const GLOBALS = ['setTimeout', 'setInterval', 'setImmediate', 'clearTimeout', 'clearInterval', 'clearImmediate'] as const

/**
 * Puts the world's time and chance in place of what code finds by itself: timers, global and imported, `performance.now`,
 * `Date.now`, `process.cpuUsage`, `randomBytes`. Whoever asks while no process is at work (the test runner) gets the real ones. Gives what undoes it.
 */
export function takeOver(worldOf: () => World | undefined): () => void {
  const real = Object.fromEntries(GLOBALS.map((name) => [name, globalThis[name]])) as Record<
    string,
    (...args: unknown[]) => unknown
  >
  const { randomBytes } = crypto
  const { now: today } = Date
  const now = performance.now.bind(performance)
  const { cpuUsage } = process
  const acting = () => {
    const world = worldOf()
    return world?.current ? { world, process: world.current } : undefined
  }
  type Callback = (...args: unknown[]) => void
  const starter =
    (name: string, isRepeated: boolean) =>
    (action: Callback, ms?: number, ...args: unknown[]) => {
      const at = acting()
      if (!at) return real[name]?.(action, ms, ...args)
      const delay = Math.max(1, ms ?? 0)
      return new Timer(at.world, at.process, delay, isRepeated ? delay : undefined, () => action(...args))
    }
  const clearer = (name: string) => (timer: unknown) => (timer instanceof Timer ? timer.cancel() : real[name]?.(timer))
  const own = {
    setTimeout: starter('setTimeout', false),
    setInterval: starter('setInterval', true),
    setImmediate: (action: Callback, ...args: unknown[]) => {
      const at = acting()
      return at ? new Timer(at.world, at.process, 0, undefined, () => action(...args)) : real.setImmediate?.(action, ...args)
    },
    clearTimeout: clearer('clearTimeout'),
    clearInterval: clearer('clearInterval'),
    clearImmediate: clearer('clearImmediate'),
  }
  for (const holder of [globalThis, timers]) Object.assign(holder, own)
  // Code takes no time here: a timer that is late was kept from going off by a stop.
  process.cpuUsage = (before) => (acting() ? { user: 0, system: 0 } : cpuUsage(before))
  performance.now = () => acting()?.process.clock.now() ?? now()
  Date.now = () => acting()?.process.clock.today() ?? today()
  const seeded = (size: number) => {
    const at = acting()
    return at ? Buffer.from(Array.from({ length: size }, () => at.world.chance.int(0, 255))) : randomBytes(size)
  }
  Object.assign(crypto, { randomBytes: seeded })
  syncBuiltinESMExports()
  return () => {
    for (const holder of [globalThis, timers]) Object.assign(holder, real)
    Object.assign(process, { cpuUsage })
    Reflect.deleteProperty(performance, 'now')
    Date.now = today
    Object.assign(crypto, { randomBytes })
    syncBuiltinESMExports()
  }
}
