import { InvalidOptionError } from '../errors.ts'

/** Part `index` (from 0) of `count`. */
export interface Shard {
  readonly index: number
  readonly count: number
}

/** The shard an item belongs to, from 0. `key` undefined: the key is the index. */
export function shardOf(index: number, key: string | undefined, count: number): number {
  return (key === undefined ? mixInteger(index) : hashText(key)) % count
}

/** `K/N`, counted from 1, as the option says it. */
export function nameShard({ index, count }: Shard): `${number}/${number}` {
  return `${index + 1}/${count}`
}

/**
 * What the `shard` option says. `'auto'` reads the variables a scheduler sets for one of the parallel tasks of a job:
 *
 * - AWS Batch: `AWS_BATCH_JOB_ARRAY_INDEX` of `AWS_BATCH_JOB_ARRAY_SIZE`
 * - SLURM: `SLURM_ARRAY_TASK_ID`, counted from `_MIN` in steps of `_STEP`, of `_COUNT`
 * - Kubernetes: `JOB_COMPLETION_INDEX` of `PAWL_SHARD_COUNT`, as an indexed Job does not tell its pods how many there are
 *
 * @throws InvalidOptionError when no scheduler set them, or they name no part of a whole.
 */
export function readShard(option: string | undefined, env: NodeJS.ProcessEnv): Shard | undefined {
  if (option === undefined) return undefined
  if (option !== 'auto') {
    const [place, count] = option.split('/').map(Number)
    return { index: (place as number) - 1, count: count as number }
  }
  const scheduler = SCHEDULERS.find(({ index }) => env[index] !== undefined)
  if (!scheduler)
    throw misread(`what one scheduler sets (${SCHEDULERS.map(({ variables }) => variables.join(', ')).join('; or ')})`, env)
  const { variables, optional, advice } = scheduler
  const missing = variables.filter((name) => name !== optional && env[name] === undefined)
  if (missing.length > 0) throw misread(`${missing.join(', ')} beside ${scheduler.index}`, env, advice)
  const shard = scheduler.read((name) => readCount(env[name]))
  const isPart = Number.isSafeInteger(shard.index) && shard.index >= 0 && shard.index < shard.count
  if (!isPart) throw misread(`${variables.join(', ')} to name one of a number of equal parts`, env, advice)
  return shard
}

/** Where a scheduler says which of its parallel tasks this is. */
interface Scheduler {
  /** The variable that tells that this scheduler is at work. */
  readonly index: string
  readonly variables: readonly string[]
  /** The one of them that it may leave out. */
  readonly optional?: string
  /** For whoever has to set one of them. */
  readonly advice?: string
  /** NaN for what a variable does not say. */
  read(valueOf: (name: string) => number): Shard
}

// A pod may be told of a completion index also where another scheduler runs on top of Kubernetes, so it is asked last.
const SCHEDULERS: readonly Scheduler[] = [
  {
    index: 'AWS_BATCH_JOB_ARRAY_INDEX',
    variables: ['AWS_BATCH_JOB_ARRAY_INDEX', 'AWS_BATCH_JOB_ARRAY_SIZE'],
    read: (valueOf) => ({ index: valueOf('AWS_BATCH_JOB_ARRAY_INDEX'), count: valueOf('AWS_BATCH_JOB_ARRAY_SIZE') }),
  },
  {
    index: 'SLURM_ARRAY_TASK_ID',
    variables: ['SLURM_ARRAY_TASK_ID', 'SLURM_ARRAY_TASK_MIN', 'SLURM_ARRAY_TASK_STEP', 'SLURM_ARRAY_TASK_COUNT'],
    optional: 'SLURM_ARRAY_TASK_STEP',
    read: (valueOf) => ({
      index:
        (valueOf('SLURM_ARRAY_TASK_ID') - valueOf('SLURM_ARRAY_TASK_MIN')) / Math.max(1, valueOf('SLURM_ARRAY_TASK_STEP') || 1),
      count: valueOf('SLURM_ARRAY_TASK_COUNT'),
    }),
  },
  {
    index: 'JOB_COMPLETION_INDEX',
    variables: ['JOB_COMPLETION_INDEX', 'PAWL_SHARD_COUNT'],
    advice:
      ". Kubernetes sets JOB_COMPLETION_INDEX; PAWL_SHARD_COUNT is for you to set in the Job's manifest, to the number in its 'completions'",
    read: (valueOf) => ({ index: valueOf('JOB_COMPLETION_INDEX'), count: valueOf('PAWL_SHARD_COUNT') }),
  },
]

function readCount(text: string | undefined): number {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
}

/** Says what was expected of the environment, and what it holds of the variables that count. */
function misread(expected: string, env: NodeJS.ProcessEnv, advice = ''): InvalidOptionError {
  const names = SCHEDULERS.flatMap(({ variables }) => variables)
  const held = Object.fromEntries(names.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])))
  return new InvalidOptionError('shard', `'auto' to find in the environment ${expected}`, held, { advice })
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
