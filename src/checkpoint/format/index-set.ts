/** One page covers this many indices; a full one costs nothing, so 100 million finished items take a few KiB. */
const PAGE_BITS = 16
const PAGE_SIZE = 2 ** PAGE_BITS
const WORDS = PAGE_SIZE / 32

/** Up to this many members a page is a sorted list: never more memory than a few bytes for each index that was added. */
const MAX_LISTED = 1024

/** Stands for a page all of whose indices are members. */
const FULL = Symbol('full')

interface Listed {
  count: number
  list: Uint16Array
}

interface Mapped {
  count: number
  words: Uint32Array
}

type Page = Listed | Mapped | typeof FULL

/** The largest index an item may have. */
export const MAX_INDEX = 2 ** 32 - 2

/** A set of indices from 0 to MAX_INDEX, made for long runs of neighbours: at most a bit for each, and far less when full. */
export class IndexSet {
  size = 0
  readonly #pages = new Map<number, Page>()

  has(index: number): boolean {
    const page = this.#pages.get(index >>> PAGE_BITS)
    if (page === undefined) return false
    const low = index & (PAGE_SIZE - 1)
    if (page === FULL) return true
    if ('words' in page) return ((page.words[low >>> 5] as number) & (1 << (low & 31))) !== 0
    return page.list[placeOf(page, low)] === low && placeOf(page, low) < page.count
  }

  /** False when `index` was a member already. */
  add(index: number): boolean {
    return this.addRange(index, 1) === 1
  }

  /** Adds `count` indices from `from` on; gives how many of them were new. */
  addRange(from: number, count: number): number {
    const end = from + count
    let added = 0
    for (let start = from; start < end; ) {
      const number = Math.floor(start / PAGE_SIZE)
      const stop = Math.min(end, (number + 1) * PAGE_SIZE)
      added += this.#addToPage(number, start - number * PAGE_SIZE, stop - start)
      start = stop
    }
    this.size += added
    return added
  }

  /** Adds the members of `other`, which is given up for it. */
  takeAll(other: IndexSet): void {
    for (const [number, page] of other.#pages) {
      if (this.#pages.has(number)) forEachLow(page, (low) => this.add(number * PAGE_SIZE + low))
      else {
        this.#pages.set(number, page)
        this.size += page === FULL ? PAGE_SIZE : page.count
      }
    }
  }

  /** The members that `other` has not. */
  without(other: IndexSet): IndexSet {
    const rest = new IndexSet()
    for (const [number, page] of this.#pages) {
      if (other.#pages.get(number) === FULL) continue
      forEachLow(page, (low) => {
        if (!other.has(number * PAGE_SIZE + low)) rest.add(number * PAGE_SIZE + low)
      })
    }
    return rest
  }

  /** Calls `visit` for each stretch of neighbours, in order. */
  forEachRange(visit: (from: number, count: number) => void): void {
    let from = 0
    let count = 0
    const extend = (at: number, length: number) => {
      if (at === from + count && count > 0) count += length
      else {
        if (count > 0) visit(from, count)
        from = at
        count = length
      }
    }
    for (const number of [...this.#pages.keys()].sort((a, b) => a - b)) {
      const page = this.#pages.get(number) as Page
      const base = number * PAGE_SIZE
      if (page === FULL) extend(base, PAGE_SIZE)
      else forEachLow(page, (low) => extend(base + low, 1))
    }
    if (count > 0) visit(from, count)
  }

  #addToPage(number: number, low: number, count: number): number {
    let page = this.#pages.get(number)
    if (page === FULL) return 0
    if (count === PAGE_SIZE) {
      this.#pages.set(number, FULL)
      return PAGE_SIZE - (page?.count ?? 0)
    }
    if (page === undefined) this.#pages.set(number, (page = { count: 0, list: new Uint16Array(4) }))
    if ('list' in page && page.count + count > MAX_LISTED) this.#pages.set(number, (page = toMapped(page)))
    const before = page.count
    if ('list' in page) for (let at = low; at < low + count; at++) insert(page, at)
    else setBits(page, low, count)
    if (page.count === PAGE_SIZE) this.#pages.set(number, FULL)
    return page.count - before
  }
}

function forEachLow(page: Page, visit: (low: number) => void): void {
  if (page !== FULL && 'list' in page) {
    for (let at = 0; at < page.count; at++) visit(page.list[at] as number)
    return
  }
  for (let low = 0; low < PAGE_SIZE; low++) {
    if (page === FULL || (page.words[low >>> 5] as number) & (1 << (low & 31))) visit(low)
  }
}

/** The first place in the list that does not hold less than `low`. */
function placeOf(page: Listed, low: number): number {
  let from = 0
  let to = page.count
  if (to > 0 && (page.list[to - 1] as number) < low) return to
  while (from < to) {
    const middle = (from + to) >>> 1
    if ((page.list[middle] as number) < low) from = middle + 1
    else to = middle
  }
  return from
}

function insert(page: Listed, low: number): void {
  const place = placeOf(page, low)
  if (place < page.count && page.list[place] === low) return
  if (page.count === page.list.length) {
    const list = new Uint16Array(page.list.length * 2)
    list.set(page.list)
    page.list = list
  }
  page.list.copyWithin(place + 1, place, page.count)
  page.list[place] = low
  page.count++
}

function toMapped({ count, list }: Listed): Mapped {
  const words = new Uint32Array(WORDS)
  for (let at = 0; at < count; at++) {
    const low = list[at] as number
    words[low >>> 5] = (words[low >>> 5] as number) | (1 << (low & 31))
  }
  return { count, words }
}

function setBits(page: Mapped, low: number, count: number): void {
  for (let at = low; at < low + count; ) {
    const word = at >>> 5
    const bit = at & 31
    const length = Math.min(32 - bit, low + count - at)
    const mask = length === 32 ? 0xffffffff : ((1 << length) - 1) << bit
    const old = page.words[word] as number
    page.words[word] = old | mask
    page.count += countBits(mask & ~old)
    at += length
  }
}

function countBits(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  return (((bits + (bits >>> 4)) & 0x0f0f0f0f) * 0x01010101) >>> 24
}
