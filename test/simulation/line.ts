import type { Chance } from './chance.ts'
import type { Process, World } from './world.ts'

/** When a process finds its store slow or failing, on the world's time. */
export interface Storm {
  readonly from: number
  readonly to: number
  /** Share of the calls that fail, with this code. */
  readonly failing: number
  readonly code: 'EIO' | 'ENOSPC'
  /** What a call takes longer on average, in ms. */
  readonly slow: number
}

export interface LineOptions {
  readonly world: World
  readonly process: Process
  readonly storms: readonly Storm[]
  /** What half a call takes on average, in ms. */
  readonly latency: number
  /** What a killed process had asked for may happen after its end: it asked another machine. */
  readonly isRemote: boolean
}

/** A call on its way to the disk. */
interface Call extends Mishaps {
  readonly effect: () => unknown
  isDropped: boolean
}

/** What may become of a call, besides all of its effect or none. */
interface Mishaps {
  /** When its process was killed meanwhile. */
  readonly cutOff?: () => void
  /** When it fails. */
  readonly failed?: () => void
}

/** Calls the disk: resolves with what `effect` gives as it is done, or rejects. */
export type Ask = <V>(name: string, effect: () => V, mishaps?: Mishaps) => Promise<V>

/** What is between a process and the disk. Calls take their time; what they do is done at some moment within it, or in part, or not. */
export function openLine({ world, process, storms, latency, isRemote }: LineOptions): {
  readonly ask: Ask
  /** Calls that were not answered yet. */
  readonly pending: ReadonlySet<unknown>
} {
  const { chance } = world
  const calls = new Set<Call>()

  process.onKill.push(() => {
    for (const call of calls) {
      if (isRemote && chance.is(0.3)) continue
      call.isDropped = true
      if (chance.is(0.4)) ignoreFailure(call.effect)
      else if (call.cutOff && chance.is(0.5)) call.cutOff()
    }
  })

  const storm = () => storms.find(({ from, to }) => world.time >= from && world.time < to)
  const delay = () => chance.wait(latency) + (storm() ? chance.wait(storm()?.slow ?? 0) : 0)

  /** A call that fails has done nothing, some of it, or all of it. */
  const fail = ({ effect, failed }: Call, code: string): Error => {
    if (chance.is(0.2)) ignoreFailure(effect)
    else if (failed && chance.is(0.5)) failed()
    return Object.assign(new Error(`${code}: simulated`), { code })
  }

  const ask: Ask = (name, effect, mishaps) =>
    new Promise((resolve, reject) => {
      const call: Call = { ...mishaps, effect, isDropped: false }
      calls.add(call)
      world.in(delay(), undefined, () => {
        if (call.isDropped) return
        const { failing = 0, code = 'EIO' } = storm() ?? {}
        let answer: () => void
        try {
          if (chance.is(failing)) throw fail(call, code)
          const value = effect()
          answer = () => resolve(value)
        } catch (error) {
          world.trace(() => `${process.name} ${name} fails: ${(error as Error).message}`)
          answer = () => reject(error)
        }
        world.trace(() => `${process.name} ${name}`)
        world.in(delay(), process, () => {
          calls.delete(call)
          answer()
        })
      })
    })
  return { ask, pending: calls }
}

function ignoreFailure(effect: () => unknown): void {
  try {
    effect()
  } catch {
    // Nobody is there to be told.
  }
}

/** When the store is slow or fails for a process that begins at `begin`. */
export function makeStorms(chance: Chance, begin: number): Storm[] {
  return Array.from({ length: chance.int(1, 3) }, () => {
    const from = begin + chance.wait(100)
    const to = from + chance.pick([20, 200, 2000, 2000, 60_000])
    return {
      ...{ from, to, failing: chance.pick([0, 0.1, 0.5, 1]), code: chance.pick(['EIO', 'ENOSPC'] as const) },
      slow: chance.pick([0, 0, 10, 1000]),
    }
  })
}
