import type { Engine } from '../engine/engine.ts'
import type { Engines } from '../engines.ts'
import type { Planner } from '../plan.ts'

/**
 * Time the first chunk may take, from when the first thread is up, before more threads are started without knowing what
 * items cost, in ms. Lower, and a run of trivial items starts threads it has no work for; higher, and long items wait
 * for the second thread. Threads come up one after the other, not at once: two at once take as long for either.
 */
const FIRST_CHUNK_MS = 5

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
  /** Where what is not settled should run. */
  mode(): 'threads' | 'inline'
  /** The pool, with a thread at least. */
  open(): Promise<Engine>
  /** To be called when items were measured. */
  measured(): void
  close(): void
}

export async function startGrowth({ planner, engines, unsettled, onPlan, fail }: GrowthOptions): Promise<Growth> {
  let pool: Engine | undefined
  let opening: Promise<Engine> | undefined
  let grown = 0
  let isDecided = false
  let patience: NodeJS.Timeout | undefined

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
      pool.grow(1)
      return pool
    })
    return opening
  }
  const measured = () => {
    isDecided = true
    clearTimeout(patience)
    // What was thought cheap turned out not to be: off the main thread with the rest.
    if (!opening && mode() === 'threads') open().then(measured, fail)
    growTo(planner.workers(unsettled()))
  }
  const wait = () => {
    if (isDecided) return
    patience = setTimeout(() => {
      planner.forget() // Nothing came back yet: what earlier runs learned may have been about other items.
      growTo(planner.workers(unsettled()))
    }, FIRST_CHUNK_MS)
  }

  if (mode() === 'threads') (await open()).up().then(wait)
  else wait()
  return {
    get pool() {
      return pool
    },
    mode,
    open,
    measured,
    close: () => {
      isDecided = true
      clearTimeout(patience)
    },
  }
}
