import { isRecord } from '../is-record.ts'
import { isDirectory } from '../store/directory.ts'
import type { Store } from '../store/store.ts'
import { stepTo } from '../values/steps.ts'

/**
 * What an option is, and which values it takes. What several rows of option-table.ts share is a check with the words for what it
 * accepts.
 */

/** What an option is: its check, default, help and flag. */
export interface OptionSpec {
  /** What the type may be, for people. */
  readonly type: string
  /** The default, for people. */
  readonly default: string
  readonly help: string
  /** True when the value can be used. */
  check(value: unknown): boolean
  /** What `check` accepts, to complete "expected …". */
  readonly expected: string
  /** Of a value that is not accepted, the part that is why; undefined when it is all of it. */
  findUnfit?(value: unknown): Unfit | undefined
  /** How the command line says it, in commander's notation. */
  readonly flag?: string
}

export const isInteger = (min: number, max = Number.MAX_SAFE_INTEGER) => ({
  check: (value: unknown) => Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max,
  expected: max === Number.MAX_SAFE_INTEGER ? `an integer >= ${min}` : `an integer from ${min} to ${max}`,
})

/** Longer than Node's timers can wait (2^31 - 1 ms, 24.8 days), a duration would end at once. */
const MAX_DURATION = 2 ** 31 - 1

export const isDuration = (min: number) => ({
  check: (value: unknown) => typeof value === 'number' && value >= min && value <= MAX_DURATION,
  expected: `milliseconds, ${min > 0 ? `at least ${min} and ` : ''}at most ${MAX_DURATION} (24.8 days)`,
})

export const isOneOf = (...values: readonly unknown[]) => ({
  check: (value: unknown) => values.includes(value),
  expected: values.map((value) => (typeof value === 'string' ? `'${value}'` : String(value))).join(' or '),
})

export const isBoolean = isOneOf(true, false)

export const isNumber = (min: number, max = Number.MAX_VALUE) => ({
  check: (value: unknown) => typeof value === 'number' && value >= min && value <= max,
  expected: max === Number.MAX_VALUE ? `a finite number >= ${min}` : `a number from ${min} to ${max}`,
})

export const isFunction = { check: (value: unknown) => typeof value === 'function', expected: 'a function' }

/** Whether, or where, a cloud is asked for notices. */
export const isCloud = {
  check: isCloudOption,
  expected: 'a boolean or { baseUrl }, the URL one of http: without query and fragment',
}

/** An object made by `{}`, of whatever realm: of a Map, a class or an object that inherits its options some would go unseen. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  if (!isRecord(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, 'isPrototypeOf'))
}

/** A directory, also as a file: URL, or an object with the methods of a Store. */
export function isStoreLike(value: unknown): value is string | URL | Store {
  if (isDirectory(value)) return value !== ''
  if (value instanceof URL) return false
  return isRecord(value) && ['get', 'put', 'list', 'delete'].every((method) => typeof value[method] === 'function')
}

export function isPercentage(value: unknown): boolean {
  return typeof value === 'string' && /^\d+(\.\d+)?%$/.test(value) && Number.parseFloat(value) <= 100
}

export function isShard(value: unknown): boolean {
  if (value === 'auto') return true
  const match = typeof value === 'string' ? /^([1-9]\d{0,5})\/([1-9]\d{0,5})$/.exec(value) : null
  return match !== null && Number(match[1]) <= Number(match[2])
}

function isCloudOption(value: unknown): boolean {
  if (typeof value === 'boolean') return true
  if (!isPlain(value) || !Object.keys(value).every((name) => name === 'baseUrl')) return false
  return value.baseUrl === undefined || isMetadataUrl(value.baseUrl)
}

/** Paths are appended to it, and node:http asks: metadata services speak nothing else. */
function isMetadataUrl(value: unknown): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false
  return new URL(value).protocol === 'http:' && !/[?#]/.test(value)
}

/** Characters of `config` at most: it is written into the manifest, which is read back up to 64 MiB. */
const MAX_CONFIG = 2 ** 24

/** Objects in one another, at most. More is as a rule one that lies in itself. */
const MAX_LEVELS = 200

/** What JSON.stringify writes without losing anything, and not at a length that a value with repeated parts may have. */
export const isJson = {
  check: (value: unknown) => findUnfit(value) === undefined,
  expected: `a JSON value of at most 16 Mi characters and ${MAX_LEVELS} levels`,
  findUnfit: (value: unknown) => {
    const unfit = findUnfit(value)
    return typeof unfit === 'object' ? unfit : undefined
  },
}

/** A part of a value: where it lies, as `.deep[2]`, and what it is. */
export interface Unfit {
  readonly path: string
  readonly part: unknown
}

function findUnfit(value: unknown, depth = 0, room = { left: MAX_CONFIG }): Unfit | 'too much' | undefined {
  room.left -= typeof value === 'string' ? value.length + 2 : 2
  if (room.left < 0) return 'too much'
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value)) return undefined
  const isArray = Array.isArray(value)
  if (!isArray && !isPlain(value)) return { path: '', part: value }
  if (depth >= MAX_LEVELS) return 'too much'
  const parts: Iterable<readonly [number | string, unknown]> = isArray ? value.entries() : Object.entries(value)
  for (const [key, part] of parts) {
    if (part === undefined && !isArray) continue
    const unfit = findUnfit(part, depth + 1, room)
    if (unfit !== undefined) return unfit === 'too much' ? unfit : { ...unfit, path: stepTo(String(key), isArray) + unfit.path }
  }
  return undefined
}
