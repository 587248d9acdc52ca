import { MAX_AUTO_ITEMS } from '../items/chunk.ts'
import { NUMBERS_TOGETHER } from './protocol.ts'

/** As it was when this was loaded: a task may put another in its place. */
const { SharedArrayBuffer } = globalThis

/** Of memory that threads share: it is neither copied on its way nor does it leave this thread, see MIN_GIVEN. */
const roomFor = (count: number) => new Float64Array(new SharedArrayBuffer(count * Float64Array.BYTES_PER_ELEMENT))

const NO_ROOM = roomFor(0)

/** Values in the order they came: in one block of memory while all are numbers, and many may come. */
export class Column {
  readonly #most: number
  #numbers = NO_ROOM
  #count = 0
  #others: unknown[] = []

  /** At most `most` values will come. */
  constructor(most: number) {
    this.#most = most
  }

  push(value: unknown): void {
    if (typeof value === 'number' && this.#count < this.#numbers.length) this.#numbers[this.#count++] = value
    else this.#pushOther(value)
  }

  /** What is no number, or has no room. */
  #pushOther(value: unknown): void {
    if (typeof value === 'number' && this.#others.length === 0 && this.#most >= NUMBERS_TOGETHER) {
      const numbers = roomFor(Math.min(this.#most, Math.max(MAX_AUTO_ITEMS, this.#count * 2)))
      numbers.set(this.#numbers)
      numbers[this.#count++] = value
      this.#numbers = numbers
      return
    }
    if (this.#count > 0) this.#others = Array.from(this.#numbers.subarray(0, this.#count))
    this.#numbers = NO_ROOM
    this.#count = 0
    this.#others.push(value)
  }

  /** Puts what `copy` gives for the last value, which is no number, in its place. */
  replaceLast(copy: (value: unknown) => unknown): void {
    const last = this.#others.length - 1
    this.#others[last] = copy(this.#others[last])
  }

  /** The values so far, in memory of their own when that is a Float64Array. No other follows. */
  take(): ArrayLike<unknown> {
    if (this.#count === 0) return this.#others
    if (this.#count === this.#numbers.length) return this.#numbers
    const numbers = this.#numbers.subarray(0, this.#count)
    if (this.#count < NUMBERS_TOGETHER) return Array.from(numbers)
    const exact = roomFor(this.#count)
    exact.set(numbers)
    return exact
  }
}
