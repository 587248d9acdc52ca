import { MAX_DEPTH, MAX_KEYS, ODD_KEYS } from './plain.ts'

/** What a key must begin with to be worth a closer look. */
const FIRST_OF_ODD = new Set<number | undefined>([...ODD_KEYS].map((key) => key.charCodeAt(0)))

/**
 * Raises RangeError unless `bytes` are msgpack of the kind that packing an array of plain values gives. msgpackr reads
 * more than it writes here (references, bundles of strings, regular expressions), and some of it lets few bytes become
 * many, or many readers be compiled. After this, what it makes of the bytes is in proportion to them.
 */
export function scan(bytes: Buffer): void {
  const { length } = bytes
  /** How many keys the record of each id has, by the byte that begins it. */
  const widths: (number | undefined)[] = []
  let at = 0

  function skip(count: number): void {
    at += count
    if (at > length) throw new RangeError('The msgpack ends too early')
  }

  function scanEach(count: number, depth: number): void {
    for (let rest = count; rest > 0; rest--) scanValue(depth)
  }

  function scanValue(depth: number): void {
    const token = bytes[at++]
    if (token === undefined || depth > MAX_DEPTH + 1) throw new RangeError(`The msgpack ends too early or is too deep`)
    if (token < 0x40 || token >= 0xe0) return
    if (token < 0x80) return scanEach(widths[token] ?? refuse(token), depth + 1)
    if (token >= 0xa0 && token < 0xc0) return skip(token & 0x1f)
    if (token >= 0x90 && token < 0xa0) return scanEach(token & 0x0f, depth + 1)
    scanLong(token, depth)
  }

  function scanLong(token: number, depth: number): void {
    switch (token) {
      case 0xc0: // null
      case 0xc2: // false
      case 0xc3: // true
        return
      case 0xcb: // float64
      case 0xcf: // uint64
      case 0xd3: // int64
        return skip(8)
      case 0xcc: // uint8
      case 0xd0: // int8
        return skip(1)
      case 0xcd: // uint16
      case 0xd1: // int16
        return skip(2)
      case 0xce: // uint32
      case 0xd2: // int32
        return skip(4)
      case 0xc4: // bytes
      case 0xd9: // string
        return skip(takeCount(1))
      case 0xc5:
      case 0xda:
        return skip(takeCount(2))
      case 0xc6:
      case 0xdb:
        return skip(takeCount(4))
      case 0xdc: // array
        return scanEach(takeCount(2), depth + 1)
      case 0xdd:
        return scanEach(takeCount(4), depth + 1)
      default:
        return scanExtension(token, depth)
    }
  }

  function scanExtension(token: number, depth: number): void {
    if (token === 0xd4 && bytes[at] === 0x72) return scanRecord(depth)
    const count = sizeOfExtension(token)
    const type = bytes[at]
    const isUndefined = type === 0x00 && token === 0xd4
    const isDate = type === 0xff && count <= 12
    const isView = type === 0x74 && (token === 0xc7 || token === 0xc8 || token === 0xc9)
    if (!isUndefined && !isDate && !isView) refuse(token)
    skip(1 + count)
  }

  function sizeOfExtension(token: number): number {
    if (token === 0xc7) return takeCount(1)
    if (token === 0xc8) return takeCount(2)
    if (token === 0xc9) return takeCount(4)
    return token === 0xd4 ? 1 : token === 0xd6 ? 4 : token === 0xd7 ? 8 : refuse(token)
  }

  /** A record that tells its keys: its id, an array of strings, and the values. */
  function scanRecord(depth: number): void {
    const id = bytes[at + 1] ?? 0
    skip(2)
    const token = takeCount(1)
    const count = token >= 0x90 && token < 0xa0 ? token & 0x0f : token === 0xdc ? takeCount(2) : refuse(token)
    if (id < 0x40 || id >= 0x80 || count > MAX_KEYS) refuse(id)
    for (let rest = count; rest > 0; rest--) scanKey()
    widths[id] = count
    scanEach(count, depth + 1)
  }

  function scanKey(): void {
    const token = takeCount(1)
    const size =
      token >= 0xa0 && token < 0xc0
        ? token & 0x1f
        : token >= 0xd9 && token <= 0xdb
          ? takeCount(2 ** (token - 0xd9))
          : refuse(token)
    skip(size)
    if (FIRST_OF_ODD.has(bytes[at - size]) && ODD_KEYS.has(bytes.toString('latin1', at - size, at))) refuse(token)
  }

  function takeCount(width: number): number {
    skip(width)
    return bytes.readUIntBE(at - width, width)
  }

  scanValue(0)
  if (at !== length) throw new RangeError('The msgpack goes on after its end')
}

function refuse(token: number): never {
  throw new RangeError(`The msgpack holds a byte ${token} where none is written`)
}
