import { readFileSync } from 'node:fs'
import { availableParallelism, totalmem } from 'node:os'
import { join } from 'node:path'

/**
 * Memory a worker needs before it does anything, in bytes: its isolate, Node's bootstrap and a young heap. Measured as
 * the growth of the process per idle worker by bench/start-up.bench.mjs; rounded up, since a task needs some of its own.
 */
const WORKER_BYTES = 64 * 2 ** 20

/** Share of the machine's memory that workers may claim by default. */
const MEMORY_SHARE = 0.75

/** Worker threads to use when nobody says: the cores this process may use, fewer when memory would not hold them. At least 1. */
export function countWorkers(heapMb: number | undefined): number {
  return Math.max(1, Math.min(countCores(), countFitting(heapMb)))
}

/** Workers that memory would hold. */
export function countFitting(heapMb: number | undefined): number {
  const perWorker = WORKER_BYTES + (heapMb ?? 0) * 2 ** 20
  return Math.floor((memoryLimit() * MEMORY_SHARE) / perWorker)
}

/** Cores available to this process: affinity and the quota of its cgroup (`cpu.max`) respected. */
export function countCores(root = '/sys/fs/cgroup', membership = '/proc/self/cgroup'): number {
  let cores = availableParallelism()
  for (const text of readControl('cpu.max', root, membership)) {
    const [quota, period] = text.trim().split(' ')
    if (quota !== 'max') cores = Math.min(cores, Math.max(1, Math.floor(Number(quota) / Number(period)) || 1))
  }
  return cores
}

/** Bytes this process may use: those of the machine, or of its cgroup (`memory.max`). */
export function memoryLimit(root = '/sys/fs/cgroup', membership = '/proc/self/cgroup'): number {
  let bytes = totalmem()
  for (const text of readControl('memory.max', root, membership)) {
    const limit = Number(text.trim())
    if (limit > 0) bytes = Math.min(bytes, limit)
  }
  return bytes
}

/** A control file of the process's cgroup and of all those above it, as far as they can be read (cgroup v2). */
function readControl(name: string, root: string, membership: string): string[] {
  const path = /^0::(.*)$/m.exec(readText(membership) ?? '')?.[1] ?? '/'
  const folders = path.split('/').filter((it) => it !== '' && it !== '..')
  return Array.from({ length: folders.length + 1 }, (_, depth) => join(root, ...folders.slice(0, depth), name))
    .map(readText)
    .filter((text) => text !== undefined)
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined // Not Linux, no cgroup, or not for us to see: then it sets no limit we can know.
  }
}
