import { plural } from '../errors.ts'
import type { Plan } from '../types.ts'
import { type Words, wordedList } from '../wording.ts'
import type { Knowledge } from './knowledge.ts'

/** What a planner has chosen so far, and from what. Times in ms per item. */
interface Choice extends Pick<Plan, 'mode' | 'workers' | 'chunkSize'> {
  readonly known: Knowledge
  /** What the run was told; 'auto' and undefined: to choose. */
  readonly asked: { readonly mode: 'auto' | 'threads' | 'inline'; readonly chunkSize: number | undefined }
  /** Whether threads or inline is for the planner to choose. */
  readonly isFree: boolean
  /** Items that have not settled; undefined when nobody knows. */
  readonly left: number | undefined
}

/** The plan with what it is expected to bring, and a sentence that says why. */
export function describePlan(choice: Choice, warnings: readonly Words[]): Plan {
  const { mode, workers, chunkSize, known } = choice
  const itemTime = mean(known)
  const overhead = known.carry + known.message / chunkSize
  const speedup = mode === 'inline' || known.measured === 0 ? 1 : estimateSpeedup(itemTime, overhead, workers)
  const reason = mode === 'inline' ? explainInline(choice) : explainThreads(choice, overhead, speedup)
  return { mode, workers, chunkSize, itemTime, overhead, speedup, reason, warnings: wordedList(warnings) }
}

function mean({ measured, taskTime }: Knowledge): number {
  return measured > 0 ? taskTime / measured : 0
}

/** Serial time over the time `workers` need, when the main thread carries every item. */
function estimateSpeedup(itemTime: number, overhead: number, workers: number): number {
  const parallel = Math.max(overhead, (itemTime + overhead) / workers)
  return parallel > 0 ? itemTime / parallel : 1
}

function explainInline({ asked, known, left = 0 }: Choice): string {
  if (asked.mode === 'inline') return 'Runs inline on the main thread, as asked for.'
  if (left === 0 && !known.isCheap) return 'Runs inline: nothing is left to run.'
  return known.isCheap
    ? `Runs inline: an item takes ${describeTime(mean(known))}, and threads got one done every ${describeTime(known.pace)}: carrying it there and back costs more than it does.`
    : `Runs inline: what is left, ${plural(left, 'item')}, takes about ${describeTime(left * mean(known))}, less than starting threads.`
}

function explainThreads({ asked, known, isFree, workers, chunkSize }: Choice, overhead: number, speedup: number): string {
  if (known.measured === 0) return `Runs on ${plural(workers, 'thread')}; nothing is measured yet.`
  const size =
    asked.chunkSize === undefined
      ? `chunks of ${chunkSize > 1 ? 'about ' : ''}${chunkSize}`
      : `chunks of ${chunkSize}, as asked for`
  const cost = overhead > 0 ? describeTime(overhead) : 'next to nothing'
  const gain =
    speedup < 0.95
      ? `so slower than one after the other: it takes about ${(1 / speedup).toFixed(1)} times as long.${isFree ? ' Should threads be seen to take twice as long, the rest runs inline.' : ''}`
      : `so about ${speedup.toFixed(1)} times as fast as one after the other.`
  return `Runs on ${plural(workers, 'thread')} in ${size}: an item takes ${describeTime(mean(known))}, carrying it costs ${cost}, ${gain}`
}

/** `1.5 ms`, `12 µs`, `3.2 s`, with so many `digits`. */
export function describeTime(ms: number, digits = 2): string {
  const [value, unit] = ms >= 1000 ? [ms / 1000, 's'] : ms >= 1 ? [ms, 'ms'] : ms >= 0.001 ? [ms * 1000, 'µs'] : [ms * 1e6, 'ns']
  return `${Number(value.toPrecision(digits))} ${unit}`
}
