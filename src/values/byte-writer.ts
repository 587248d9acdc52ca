/** Bytes collected before they are handed over. One call of a hash costs as much as hashing some 500 bytes. */
const CAPACITY = 2 ** 16

/** What the bytes of a string are. */
export interface StringTags {
  readonly ascii: number
  readonly utf16: number
}

/**
 * Puts tags, numbers, strings and bytes one behind the other, and hands them over when there are many. Integers are
 * little-endian.
 */
export class ByteWriter {
  readonly #buffer = Buffer.allocUnsafeSlow(CAPACITY)
  readonly #view = new DataView(this.#buffer.buffer)
  readonly #tags: StringTags
  #consume: (bytes: Uint8Array) => void
  #end = 0
  /** Bytes that left the buffer. */
  #flushed = 0

  /** `consume` must be done with the bytes when it returns. */
  constructor(tags: StringTags, consume: (bytes: Uint8Array) => void) {
    this.#tags = tags
    this.#consume = consume
  }

  /** How many bytes were written so far. */
  get written(): number {
    return this.#flushed + this.#end
  }

  /** Hands over all that was written and not yet handed over. */
  flush(): void {
    if (this.#end > 0) this.#consume(this.#buffer.subarray(0, this.#end))
    this.#flushed += this.#end
    this.#end = 0
  }

  /** Hands to `consume` what `write` writes. */
  divert(consume: (bytes: Uint8Array) => void, write: () => void): void {
    const outer = this.#consume
    this.flush()
    this.#consume = consume
    try {
      write()
      this.flush()
    } finally {
      this.#consume = outer
      this.#end = 0
    }
  }

  tag(tag: number): void {
    if (this.#end + 16 > CAPACITY) this.flush()
    this.#buffer[this.#end++] = tag
  }

  int32(value: number): void {
    if (this.#end + 16 > CAPACITY) this.flush()
    this.#view.setInt32(this.#end, value, true)
    this.#end += 4
  }

  float64(value: number): void {
    if (this.#end + 16 > CAPACITY) this.flush()
    this.#view.setFloat64(this.#end, value, true)
    this.#end += 8
  }

  /** Its tag, its length in UTF-16 units, and its text. */
  string(value: string): void {
    const { length } = value
    const room = 16 + length * 3
    if (this.#end + room > CAPACITY) this.flush()
    if (room > CAPACITY) return this.#longString(value)
    const buffer = this.#buffer
    const start = this.#end + 5
    let at = 0
    if (length < 48) {
      for (let code = 0; at < length && (code = value.charCodeAt(at)) < 0x80; at++) buffer[start + at] = code
    } else {
      // As many bytes as characters means ASCII, lone surrogates included: they take three.
      at = buffer.write(value, start) === length ? length : 0
    }
    buffer[this.#end] = at === length ? this.#tags.ascii : this.#tags.utf16
    this.#view.setUint32(this.#end + 1, length, true)
    this.#end = start + (at === length ? length : buffer.write(value, start, 'utf16le'))
  }

  #longString(value: string): void {
    const isAscii = Buffer.byteLength(value) === value.length
    this.tag(isAscii ? this.#tags.ascii : this.#tags.utf16)
    this.#view.setUint32(this.#end, value.length, true)
    this.#end += 4
    this.flush()
    const bytes = Buffer.from(value, isAscii ? 'latin1' : 'utf16le')
    this.#consume(bytes)
    this.#flushed += bytes.length
  }

  bytes(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#end === CAPACITY) this.flush()
      const part = bytes.subarray(at, at + CAPACITY - this.#end)
      this.#buffer.set(part, this.#end)
      this.#end += part.length
      at += part.length
    }
  }
}
