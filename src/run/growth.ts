import type { Engine } from '../engine/engine.ts'
import type { Engines } from '../engines.ts'
import { COLD_MS } from '../plan/knowledge.ts'
import type { Planner } from '../plan/plan.ts'

/**
 * So long the first thread must have run items before others are started, in ms: a run of trivial items, which seem slow until
 * then, would start threads it has no work for, and wait for them. Threads come up one after the other, not at once: two at once
 * take as long for either.
 */
const ENOUGH_MS = COLD_MS

/** An item that takes longer than this is reason enough, in ms. Set by bench/peers, 'uniform-10ms'. */
const WATCH_MS = 5

/**
 * When nothing more is heard for so long, in ms, what is left is not what was measured. Four chunks, so that a pause of the
 * machine is no reason.
 */
const STALL_MS = 100

/** How often it is looked whether the first item has begun, in ms. */
const LOOK_MS = 1

/** So long after the thread is up a task may load before others load it, too, in ms: no longer than a thread takes to come up. */
const LOAD_MS = 25

export interface GrowthOptions {
  readonly planner: Planner
  readonly engines: Engines
  /** Items that have not settled; undefined when nobody knows. */
  unsettled(): number | undefined
  /** More threads were started, or none: the plan is made. */
  onPlan(): void
  fail(error: Error): void
}

/** The threads of a run: none for an inline run, else one at first, and more as it turns out that there is work for them. */
export interface Growth {
  /** The pool, once there was work for it. */
  readonly pool: Engine | undefined
  /** What is not settled should run on the main thread. */
  mayStayInline(): boolean
  /** The pool, with a thread at least. */
  open(): Promise<Engine>
  /** To be called when items were measured, with the time the task took, in ms. */
  measured(taskTime: number): void
  close(): void
}

export async function startGrowth(options: GrowthOptions): Promise<Growth> {
  const { planner, engines, unsettled, onPlan, fail } = options
  let pool: Engine | undefined
  let opening: Promise<Engine> | undefined
  let grown = 0
  let isDecided = false
  let isOver = false
  let seen = 0
  let timer: NodeJS.Timeout | undefined

  const growTo = (count: number) => {
    if (count <= grown) return
    grown = count
    pool?.grow(count)
    onPlan()
  }
  const mode = () => planner.mode(unsettled())
  const open = () => {
    opening ??= engines.pool().then((opened) => {
      pool = opened
      pool.grow(Math.max(planner.earned, grown)) // What was measured meanwhile may call for more.
      return pool
    })
    return opening
  }
  const decide = () => {
    if (isOver || !planner.isWarm) return // Not warm: an item that takes its time meanwhile is still watched for.
    isDecided = true
    clearTimeout(timer)
    growTo(planner.workers(unsettled()))
    const most = Math.min(planner.workers(undefined), unsettled() ?? Number.POSITIVE_INFINITY)
    if (grown < most) timer = setTimeout(startOver, STALL_MS)
  }
  /** What earlier runs, or items, taught does not hold for the one that runs now. */
  const startOver = () => {
    planner.forget()
    decide()
  }
  const measured = (taskTime: number) => {
    seen += taskTime
    // What was thought cheap turned out not to be: off the main thread with the rest.
    if (!opening && mode() === 'threads') open().then(decide, fail)
    if (isDecided || seen >= ENOUGH_MS) decide()
  }
  /** Waits for what was measured to be worth something, but not for an item that takes its time. */
  const watch = () => {
    const before = seen
    timer = setTimeout(() => {
      if (seen > before) watch()
      else startOver()
    }, WATCH_MS)
  }
  const look = (waited = 0) => {
    if (isDecided || isOver) return
    if (!pool || pool.hasBegun || waited >= LOAD_MS) watch()
    else timer = setTimeout(() => look(waited + LOOK_MS), LOOK_MS)
  }

  const opened = mode() === 'threads' ? await open().catch(fail) : undefined
  if (opened) opened.up().then(() => look())
  else look()
  return {
    get pool() {
      return pool
    },
    mayStayInline: () => mode() === 'inline',
    open,
    measured,
    close: () => {
      isOver = true // What is still measured, of pieces that a drain overtook, starts nothing.
      clearTimeout(timer)
      if (grown === 0 && seen > 0) onPlan() // It was over before there was anything to decide.
    },
  }
}
