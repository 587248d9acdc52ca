import { createReader } from './bytes.ts'
import { countNumbers, NUMBERS, STRINGS } from './columns.ts'

/** The first byte of a column: see msgpack.ts. */
export const PLAIN = 0x6d
export const MIXED = 0x78

/**
 * How many values a column of the msgpack codec says it has, none of which is read. Raises RangeError for some bytes that are no
 * column.
 */
export function countColumn(bytes: Buffer): number | undefined {
  switch (bytes[0]) {
    case PLAIN:
      return countArray(bytes.subarray(1))
    case MIXED:
      return countMixed(bytes)
    case NUMBERS:
      return countNumbers(bytes)
    case STRINGS:
      return bytes.readUInt32LE(2)
    default:
      return createReader(bytes.subarray(1)).varint()
  }
}

/** The length in the head of an array of msgpack. */
function countArray(bytes: Buffer): number | undefined {
  const head = bytes.readUInt8(0)
  if (head >> 4 === 0x9) return head & 0xf
  if (head === 0xdc) return bytes.readUInt16BE(1)
  return head === 0xdd ? bytes.readUInt32BE(1) : undefined
}

function countMixed(bytes: Buffer): number | undefined {
  const plain = bytes.readUInt32LE(1)
  const count = countArray(bytes.subarray(5, 5 + plain))
  let odd = 0
  for (let at = 5 + plain + 4; at < bytes.length; odd++) at += 8 + bytes.readUInt32LE(at + 4)
  return count === undefined ? undefined : count + odd
}
