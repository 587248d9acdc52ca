import { isRecord } from '../../is-record.ts'
import { createSha256 } from '../../sha256.ts'
import type { Json } from '../../types.ts'
import { hashKey } from '../format/hash-key.ts'

/** What a run is, as `inspectRun` tells it. Everything in it must agree for a session to go on. */
export interface RunIdentity {
  /**
   * `module`: relative to the working directory, with `/`; `inline` for an inline function, whose `export` is a digest of its
   * source.
   */
  readonly task: { readonly module: string; readonly export: string }
  readonly items: ItemsIdentity
  readonly config: Json | null
  /** `index`, `function`, or the name of a field. */
  readonly key: string
  readonly seed: number
  /** Digest of the `shared` option. */
  readonly shared: string | null
}

interface ItemsIdentity {
  readonly kind: 'array' | 'iterable' | 'keyed' | 'path'
  readonly count?: number
  /**
   * 32 hexadecimal digits: of the items' contents (digest-items.ts), or, for the command line, of the file they stand in:
   * SHA-256 of its kind (`jsonl`, `text` or `csv`) and of the SHA-256, in hex, of each of its blocks. cli/blocks.ts says
   * where a block ends.
   */
  readonly digest?: string
  /** How many items the digest covers when not all. */
  readonly sampled?: number
}

/** Short hash of all that must agree: 64 bits in hexadecimal digits. */
export function fingerprintOf(identity: RunIdentity): string {
  return hash(identity)
}

/** Hexadecimal digits of a derived name. */
const DIGITS = 12

/**
 * Names a run by its task and items; a run of keyed items by its task only, since they may come and go. One that is not
 * recorded is never looked for, so a hash that costs nothing to load will do.
 */
export function deriveRunId({ task, items }: RunIdentity, isRecorded = true): string {
  const stem =
    /[^/]*$/
      .exec(task.module)?.[0]
      .replace(/\.\w+$/, '')
      .replace(/[^\w-]+/g, '-')
      .slice(0, 40) || 'task'
  const what = items.kind === 'keyed' ? [task] : [task, items]
  const digest = isRecorded ? hash(what) : hashKey(canonicalJson(what)).toString(16).padStart(DIGITS, '0')
  return `${stem}-${digest.slice(0, DIGITS)}`
}

/** The members of objects in one order, so that equal identities have equal text. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, part) =>
    isRecord(part) ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1))) : part,
  )
}

function hash(value: unknown): string {
  return createSha256().update(canonicalJson(value)).digest('hex').slice(0, 16)
}
