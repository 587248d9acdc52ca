import { memoryLimit } from '../machine.ts'
import { type Words, wording } from '../wording.ts'

/** Share of the memory that results may fill before a run is warned of it. The other half is for the program and the workers. */
const SHARE = 0.5

const ELSEWHERE = {
  about: 'results',
  says: 'use collect: false with a checkpoint and read them from the store, or stream()',
} as const

/**
 * What results may weigh, in bytes, once a run asked: to find out reads some files, a twentieth of what a short run on a warm
 * executor takes.
 */
let limit: number | undefined

/** Warns when results like `sample`, `count` of them, will not fit into memory. */
export function warnOfSize(sample: readonly unknown[], count: number | undefined, warn: (message: Words) => void): void {
  if (count === undefined || sample.length === 0) return
  const each = measure(sample) / sample.length
  limit ??= memoryLimit() * SHARE
  if (each * count <= limit) return
  warn(
    wording`The results will weigh about ${toGigabytes(each * count)} GB, more than half of the memory (${toGigabytes(limit / SHARE)} GB): ${ELSEWHERE}`,
  )
}

/**
 * Node's v8 is taken here: at the top of the file it would load while the main thread is busiest (bench/peers, 'small-cold': its
 * delay).
 */
function measure(sample: readonly unknown[]): number {
  try {
    return process.getBuiltinModule('node:v8').serialize(sample).length
  } catch {
    return 0 // Holds something only structured clone carries; then nobody can say.
  }
}

function toGigabytes(bytes: number): string {
  return (bytes / 2 ** 30).toFixed(1)
}
