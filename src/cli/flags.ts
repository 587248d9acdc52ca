import { InvalidOptionError } from '../errors.ts'
import { listOptions } from '../options/option-table.ts'
import type { OptionSpec } from '../options/option-values.ts'
import type { ExecuteOptions } from '../options/options.ts'
import type { Json } from '../types.ts'
import { DURATION_FORM, parseDuration } from './duration.ts'

/** Flags every command takes. */
export interface CommonFlags {
  readonly checkpoint: string
  readonly json?: true
}

/** A flag: how it is written, what it says of itself, and how its text becomes a value. */
export interface Flag {
  readonly notation: string
  readonly help: string
  /** @throws InvalidOptionError that names the flag. */
  parse(text: string): Json
  /** @throws InvalidOptionError for a value that was parsed elsewhere (read from a manifest). */
  check(value: unknown): void
}

/** Flags of `run` that say how the work is done, not what comes of it: `resume` takes them too, and they may change. */
export const WORK_FLAGS = [
  'workers',
  'chunkSize',
  'retries',
  'timeout',
  'maxFailures',
  'maxCrashes',
  'format',
  'checkpointEvery',
  'checkpointInterval',
  'compress',
  'keep',
  'shard',
  'preempt',
  'drainTimeout',
  'timeLimit',
] as const

/** Flags of `run` that results depend on. */
export const RESULT_FLAGS = ['key', 'config', 'seed'] as const

export type FlagName = (typeof WORK_FLAGS)[number] | (typeof RESULT_FLAGS)[number]

/** The values of these flags, as parsed. */
export type FlagValues = { readonly [name in FlagName]?: Json | undefined }

const specs = new Map(listOptions().map(({ name, spec }) => [name, spec]))
const specOf = (option: string) => specs.get(option) as OptionSpec

const number = (text: string) => (/^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : text)
const asIs = (text: string) => text

/** The flag of an option, with the option's own help and check. */
function flagOf(option: string, parseText: (text: string) => Json, changes: Partial<OptionSpec> = {}): Flag {
  const spec = { ...specOf(option), ...changes }
  const isTime = spec.flag?.includes('<time>') ?? false
  const name = (spec.flag ?? '').split(' ')[0] as string
  const standard =
    spec.default === 'none' || spec.flag === name ? '' : ` (default ${spec.default.replaceAll("'", '')}${isTime ? ' ms' : ''})`
  const check = (value: unknown, text: unknown = value) => {
    if (spec.check(value)) return
    throw new InvalidOptionError(name, isTime ? `${DURATION_FORM}, ${bounds(spec.expected)}` : spec.expected, text)
  }
  return {
    notation: spec.flag ?? '',
    help: spec.help.replaceAll('`', '') + standard,
    parse: (text) => {
      const value = parseText(text)
      check(value, text)
      return value
    },
    check: (value) => check(value),
  }
}

/** Whoever writes `30d` is to see the bound as a duration, too. */
const bounds = (expected: string) =>
  expected
    .replace(/^milliseconds, /, '')
    .replace(/at least \d+/, '$& ms')
    .replace(/(\d+) \(([^)]*)\)/, '$2 ($1 ms)')
const duration = (text: string) => parseDuration(text) ?? text

/** The flags by commander's names for them. */
export const FLAGS: Record<FlagName, Flag> = {
  workers: flagOf('workers', number),
  chunkSize: flagOf('chunkSize', number),
  retries: flagOf('retry.retries', number),
  timeout: flagOf('timeout', duration, {
    help: 'for one attempt at one item, and as long again to pack its result; one that takes longer is stopped and has failed: --retries try it again; its neighbours lose nothing',
  }),
  maxFailures: flagOf('maxFailures', number, {
    help: 'failures tolerated: a count, or a share of the items such as 5% (of stdin: of those settled, after 100); with more the run stops, and exits 1',
  }),
  maxCrashes: flagOf('maxCrashes', number),
  format: flagOf('checkpoint.format', asIs, {
    help: 'msgpack, or json, which a person can read and grep, and which is limited to what JSON can hold',
  }),
  checkpointEvery: flagOf('checkpoint.every', number),
  checkpointInterval: flagOf('checkpoint.interval', duration),
  compress: flagOf('checkpoint.compress', asIs, {
    help: 'compress the checkpoint with gzip',
    check: (value) => value === true,
    expected: 'true',
  }),
  keep: flagOf('checkpoint.keep', number),
  shard: flagOf('shard', asIs),
  preempt: flagOf('preempt', asIs, {
    help: "drain also at the cloud's notice; auto finds out which cloud this is",
    check: (value) => value === 'auto',
    expected: "'auto'",
  }),
  drainTimeout: flagOf('drainTimeout', duration, {
    help: 'how long a drain waits for running items, at most half of --time-limit',
  }),
  timeLimit: flagOf('timeout', duration, {
    flag: '--time-limit <time>',
    help: 'drain so that everything has ended this long after the start, and exit 75; without --drain-timeout the drain takes at most a quarter of it; the start and an item at least have to fit into half of it',
  }),
  key: flagOf('key', asIs, {
    help: "the field of an item that is its identity, so that items may be added, removed or moved between sessions; '.' is the item itself (lines, paths)",
    check: (value) => typeof value === 'string' && value !== '',
    expected: 'the name of a field',
    default: 'the index',
  }),
  config: flagOf('config', parseJson),
  seed: flagOf('seed', number),
}

function parseJson(text: string): Json {
  try {
    return JSON.parse(text) as Json
  } catch {
    throw new InvalidOptionError('--config', 'JSON', text)
  }
}

/** The options of a run that `values` stand for, `checkpoint` and `key` left to the caller. */
export function toOptions(values: FlagValues): ExecuteOptions<unknown> {
  const { workers, chunkSize, retries, timeout, maxFailures, maxCrashes, shard, preempt, drainTimeout, config, seed } = values
  const options = { workers, chunkSize, retry: retries, timeout, maxFailures, maxCrashes, shard, preempt, drainTimeout }
  return { ...options, config, seed } as ExecuteOptions<unknown>
}

/** The checkpoint in `directory` that `values` stand for. */
export function toCheckpoint(directory: string, values: FlagValues): ExecuteOptions['checkpoint'] {
  const { format, checkpointEvery, checkpointInterval, compress, keep } = values
  const given = { format, every: checkpointEvery, interval: checkpointInterval, compress: compress ? 'gzip' : undefined, keep }
  return { store: directory, ...given } as ExecuteOptions['checkpoint']
}
