/**
 * COMPRESSED FILES
 *
 * A file whose name ends in `.gz` is a sequence of gzip members (RFC 1952), so `zcat` reads it; together they hold the
 * plain file. A frame lies within one member, the header of the file in the first. As in BGZF each member tells its size
 * in an extra field, so that a reader can skip it, and can find the next one behind damage. Integers are little-endian.
 *
 *     block  :=   0 12  gzip header  1f 8b 08 04, time 0, extra flags 0, system 255, 16 bytes of extra field
 *                12  4  subfield     "PW", 12 bytes
 *                16  4  bytes        of the whole block
 *                20  4  rawBytes     of what it holds
 *                24  4  checksum     CRC-32 of bytes 0 to 23, starting from the CRC-32 of the file's `<stem>`
 *                28  *  deflate      at most MAX_RATIO times smaller than what it holds, unless that is at most SMALL_BYTES
 *                 -  8  gzip trailer CRC-32 and size of what it holds
 */
import { promisify } from 'node:util'
import { crc32, deflateRaw, inflateRaw } from 'node:zlib'

const START = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 16, 0, 0x50, 0x57, 12, 0])
const HEADER_BYTES = 28
const TRAILER_BYTES = 8

/**
 * A block that holds more than this may not be more than MAX_RATIO times smaller: reading takes no memory the file does not
 * warrant.
 */
export const SMALL_BYTES = 2 ** 24
const MAX_RATIO = 100

/** Most bytes a block may hold: the largest frame, and the header of a file. */
const MAX_RAW_BYTES = 2 ** 30

/** Most bytes a stored block of deflate holds. */
const MAX_STORED = 65_535

interface BlockHeader {
  readonly bytes: number
  readonly rawBytes: number
}

const deflate = promisify<Uint8Array, Buffer>(deflateRaw)
const inflate = promisify<Uint8Array, { maxOutputLength: number }, Buffer>(inflateRaw)

export const MIN_BLOCK_BYTES = HEADER_BYTES + TRAILER_BYTES

/** Compresses `raw` into one block, off the main thread. */
export async function packBlock(raw: Uint8Array, seed: number): Promise<Buffer> {
  const packed = await deflate(raw)
  return raw.byteLength > SMALL_BYTES && raw.byteLength > packed.length * MAX_RATIO
    ? storeBlock(raw, seed)
    : assemble(raw, [packed], seed)
}

/** Puts `raw` into a block as it is: at once, for what is too small to be worth compressing. */
export function storeBlock(raw: Uint8Array, seed: number): Buffer {
  const pieces: Uint8Array[] = []
  for (let at = 0; at === 0 || at < raw.byteLength; at += MAX_STORED) {
    const part = raw.subarray(at, at + MAX_STORED)
    const head = Buffer.alloc(5)
    head.writeUInt8(at + MAX_STORED >= raw.byteLength ? 1 : 0)
    head.writeUInt16LE(part.byteLength, 1)
    head.writeUInt16LE(part.byteLength ^ 0xffff, 3)
    pieces.push(head, part)
  }
  return assemble(raw, pieces, seed)
}

function assemble(raw: Uint8Array, packed: readonly Uint8Array[], seed: number): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  START.copy(header)
  header.writeUInt32LE(
    packed.reduce((sum, piece) => sum + piece.byteLength, HEADER_BYTES + TRAILER_BYTES),
    16,
  )
  header.writeUInt32LE(raw.byteLength, 20)
  header.writeUInt32LE(crc32(header.subarray(0, 24), seed), 24)
  const trailer = Buffer.alloc(TRAILER_BYTES)
  trailer.writeUInt32LE(crc32(raw))
  trailer.writeUInt32LE(raw.byteLength, 4)
  return Buffer.concat([header, ...packed, trailer])
}

/** True when a file that begins with `bytes` is compressed. */
export function isPacked(bytes: Buffer): boolean {
  return bytes[0] === START[0] && bytes[1] === START[1]
}

/** The header of the block at `at`; undefined when there is none. */
export function readBlockHeader(bytes: Buffer, at: number, seed: number): BlockHeader | undefined {
  if (bytes.length - at < MIN_BLOCK_BYTES || bytes.compare(START, 0, START.length, at, at + START.length) !== 0) return undefined
  if (bytes.readUInt32LE(at + 24) !== crc32(bytes.subarray(at, at + 24), seed)) return undefined
  const header = { bytes: bytes.readUInt32LE(at + 16), rawBytes: bytes.readUInt32LE(at + 20) }
  const isBomb = header.rawBytes > SMALL_BYTES && header.rawBytes > header.bytes * MAX_RATIO
  return header.bytes < MIN_BLOCK_BYTES || header.rawBytes > MAX_RAW_BYTES || isBomb ? undefined : header
}

/** Where, from `from` on, a block may begin; -1 when nowhere. */
export function findNextBlock(bytes: Buffer, from: number): number {
  return bytes.indexOf(START, from)
}

/** What the block holds; undefined when it is damaged. */
export async function unpackBlock(block: Buffer, { bytes, rawBytes }: BlockHeader): Promise<Buffer | undefined> {
  try {
    const packed = block.subarray(HEADER_BYTES, bytes - TRAILER_BYTES)
    const raw = await inflate(packed, { maxOutputLength: Math.max(rawBytes, 1) })
    const trailer = block.subarray(bytes - TRAILER_BYTES, bytes)
    const isRight = raw.length === rawBytes && crc32(raw) === trailer.readUInt32LE() && raw.length === trailer.readUInt32LE(4)
    return isRight ? raw : undefined
  } catch {
    return undefined
  }
}
