import { InvalidOptionError } from './errors.ts'

/** Part `index` (from 0) of `count`. */
export interface Shard {
  readonly index: number
  readonly count: number
}

/** The shard an item belongs to, from 0. `key` undefined: the key is the index. */
export function shardOf(index: number, key: string | undefined, count: number): number {
  return (key === undefined ? mixInteger(index) : hashText(key)) % count
}

/** What the `shard` option says; `'auto'` reads the variables of Kubernetes, AWS Batch and SLURM. */
export function readShard(option: string | undefined, env: NodeJS.ProcessEnv): Shard | undefined {
  if (option === undefined) return undefined
  if (option !== 'auto') {
    const [place, count] = option.split('/').map(Number)
    return { index: (place as number) - 1, count: count as number }
  }
  throw new InvalidOptionError('shard', 'variables of a scheduler', Object.keys(env).length)
}

function mixInteger(value: number): number {
  let mixed = Math.imul((value ^ (value >>> 16)) | 0, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}

function hashText(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mixInteger(hash)
}
