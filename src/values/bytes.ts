/** Bytes being put together: varints (7 bits a byte, lowest first), text and other bytes. */
export interface Writer {
  /** @param value an integer from 0 to 2^53 - 1 */
  varint(value: number): void
  text(text: string): void
  append(bytes: Uint8Array): void
  bytes(): Uint8Array
}

export function createWriter(): Writer {
  let buffer = Buffer.allocUnsafe(64)
  let length = 0
  const reserve = (more: number) => {
    if (length + more <= buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(buffer.length * 2, length + more))
    buffer.copy(grown, 0, 0, length)
    buffer = grown
  }
  return {
    varint(value) {
      reserve(8)
      let rest = value
      while (rest >= 128) {
        buffer[length++] = (rest % 128) + 128
        rest = Math.floor(rest / 128)
      }
      buffer[length++] = rest
    },
    text(text) {
      reserve(text.length * 3)
      length += buffer.write(text, length)
    },
    append(bytes) {
      reserve(bytes.length)
      buffer.set(bytes, length)
      length += bytes.length
    },
    bytes: () => buffer.subarray(0, length),
  }
}

/** Bytes being taken apart. Every method raises RangeError rather than read past the end. */
export interface Reader {
  readonly left: number
  varint(): number
  /** The next `count` bytes, no copy. */
  take(count: number): Buffer
  /** All that is left, as text. */
  rest(): string
}

export function createReader(bytes: Buffer): Reader {
  let at = 0
  return {
    get left() {
      return bytes.length - at
    },
    varint() {
      let value = 0
      for (let scale = 1; ; scale *= 128) {
        const byte = bytes[at++]
        if (byte === undefined) throw new RangeError('a varint runs past the end')
        value += (byte & 127) * scale
        if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('a varint is too large')
        if (byte < 128) return value
      }
    },
    take(count) {
      if (count > bytes.length - at) throw new RangeError('there are fewer bytes than that')
      at += count
      return bytes.subarray(at - count, at)
    },
    rest() {
      const text = bytes.toString('utf8', at)
      at = bytes.length
      return text
    },
  }
}
