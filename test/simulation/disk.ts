import { StoreConflictError } from '../../src/errors.ts'
import type { Chance } from './chance.ts'

/** An object as readers see it, and how much of it a power cut leaves for sure. */
export interface Content {
  bytes: Buffer
  size: number
  durable: number
  /** Comes whole or not at all. */
  readonly isAtomic: boolean
  /** A sync of it failed: what was not durable by then never will be, whatever later syncs say. */
  isStuck: boolean
}

/** Ends the lines of JSON. */
const NEWLINE = 0x0a

interface Entry {
  live: Content | undefined
  /** What is sure to be there after a power cut, else one of `since`. */
  kept: Content | undefined
  since: (Content | undefined)[]
}

/**
 * What stores write to. It survives processes; a power cut takes what was not synced: names, tails, deletions, each by
 * itself, as disks write in any order.
 */
export class Disk {
  readonly #entries = new Map<string, Entry>()

  read(key: string): Content | undefined {
    return this.#entries.get(key)?.live
  }

  keys(): string[] {
    return [...this.#entries].filter(([, { live }]) => live).map(([key]) => key)
  }

  put(key: string, bytes: Uint8Array, isReplacing: boolean, isDurable: boolean): void {
    const entry = this.#entry(key)
    if (entry.live && !isReplacing) throw new StoreConflictError(key)
    const content = newContent(Buffer.from(bytes), isDurable ? bytes.byteLength : 0, true)
    entry.live = content
    if (isDurable) keep(entry, content)
    else entry.since.push(content)
  }

  create(key: string): Content {
    const entry = this.#entry(key)
    if (entry.live) throw new StoreConflictError(key)
    const content = newContent(Buffer.alloc(256), 0, false)
    entry.live = content
    entry.since.push(content)
    return content
  }

  write(content: Content, bytes: Uint8Array, position: number): void {
    const end = position + bytes.byteLength
    if (end > content.bytes.length) content.bytes = Buffer.concat([content.bytes], Math.max(end, content.bytes.length * 2))
    content.bytes.set(bytes, position)
    content.size = Math.max(content.size, end)
  }

  sync(key: string, content: Content): void {
    if (content.isStuck) return
    content.durable = content.size
    const entry = this.#entry(key)
    if (entry.live === content) keep(entry, content)
  }

  /** Changes a bit of an object, for good. */
  damage(key: string, chance: Chance): void {
    const { live } = this.#entry(key)
    if (!live) return
    let at = chance.int(0, live.size - 1)
    while (live.bytes[at] === NEWLINE) at-- // Nothing is lost with one, so nothing need be told.
    live.bytes[at] = (live.bytes[at] as number) ^ (1 << chance.int(0, 7))
  }

  delete(key: string): void {
    const entry = this.#entry(key)
    if (entry.live) entry.since.push(undefined)
    entry.live = undefined
  }

  cutPower(chance: Chance): void {
    for (const entry of this.#entries.values()) {
      const left = entry.since.length > 0 ? chance.pick([entry.kept, ...entry.since]) : entry.kept
      entry.live = left && tear(left, chance)
      entry.kept = entry.live
      entry.since = []
    }
  }

  #entry(key: string): Entry {
    const known = this.#entries.get(key)
    if (known) return known
    const entry: Entry = { live: undefined, kept: undefined, since: [] }
    this.#entries.set(key, entry)
    return entry
  }
}

function newContent(bytes: Buffer, durable: number, isAtomic: boolean): Content {
  return { bytes, size: isAtomic ? bytes.length : 0, durable, isAtomic, isStuck: false }
}

function keep(entry: Entry, content: Content): void {
  entry.kept = content
  entry.since = []
}

/** What is left of an object of which only the first `durable` bytes are sure: some more, the rest missing, or zeros in places. */
function tear(content: Content, chance: Chance): Content {
  const { durable, size, isAtomic } = content
  const bytes = Buffer.from(content.bytes.subarray(0, size))
  const end = isAtomic ? size : chance.int(durable, size)
  let left = end
  if (!isAtomic && chance.is(0.3)) {
    bytes.fill(0, end)
    left = size
  } else if (!isAtomic && chance.is(0.2)) {
    bytes.fill(0, chance.int(durable, end), end)
    left = size
  }
  return { bytes: bytes.subarray(0, left), size: left, durable: left, isAtomic, isStuck: false }
}
