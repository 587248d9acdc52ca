/**
 * CHECKPOINT FORMAT, version 4
 *
 * A file holds what sessions of one run wrote, as frames, in the order of writing. `seg/<stem>.<form>` is a segment: one
 * session wrote it, and nobody appends to it after; `<stem>` is `<writer>-<seq>`, the writer is new for every session,
 * and neither has a dot. `snap/<stem>.<form>` is a snapshot: it stands for the files its `covers` frame names. `<form>` is
 * `msgpack` (this file), `json` (format-json.ts), and either with `.gz` (blocks.ts). Integers are little-endian; a varint
 * has 7 bits a byte, lowest first, the high bit set in all but the last, and is at most 2^53 - 1.
 *
 *     file    := header frame*
 *
 *     header  :=   0  4  magic        "PAWL"
 *                  4  2  version      4 if there may be an `attempted` frame, else 3; before values were taken apart
 *                            (values/tables.ts) 2 if there is an `items` frame, else 1
 *                  6  1  file         0 = segment, 1 = snapshot
 *                  7  1  whole        1 = a segment that was put whole, 0 = one that grew, or nobody said
 *                  8  8  fingerprint  of the run
 *                 16  8  createdAt    float64, milliseconds since 1970
 *                 24  4  checksum     CRC-32 of bytes 0 to 23
 *
 *     frame   :=   0  2  mark         "PF"
 *                  2  1  kind         place in KINDS
 *                  3  1  zero
 *                  4  4  headBytes    at most MAX_HEAD_BYTES
 *                  8  4  bodyBytes    at most MAX_BODY_BYTES
 *                 12  4  headSum      CRC-32 of the head
 *                 16  4  bodySum      CRC-32 of the body
 *                 20  4  checksum     CRC-32 of bytes 0 to 19
 *                 24  *  head, body
 *
 * The checksums of a frame start from the file's seed: the CRC-32 of `<stem> <fingerprint>`. Behind an `origin` frame of a
 * snapshot they start from the seed of the segment it names, so that compaction copies frames as they are.
 *
 *     outcomes  head: varint flags (1 = keys, 2 = attempts), varint number of runs, for each run varint zigzag(from - end
 *               of the run before) and varint count; if flagged, a varint of attempts for each item; varint number of
 *               columns, for each varint count and varint bytes; if flagged, the keys as a JSON array.
 *               body: the columns as a codec wrote them (values/).
 *     running   head: varint number of runs and the runs as above; in keyed runs a varint `hashKey` for each item.
 *     failure   head: JSON of FailureHead. body: a column of the reason (error-record.ts) and, if it could be held, the item.
 *     others    head: JSON of the Head of that kind in frame.ts. No body.
 *
 * An item is its key in keyed runs, else its index. What a run came to is the union of its files. For one item a success
 * counts before a failure, of two successes the one in the lower stem, or earlier in it; of two failures that of the later session,
 * and of one session the later one. The name of a session begins with the time, 9 digits of base 36, of milliseconds since
 * 1970, and sorts behind all stems that were there as it began, whatever their clocks said: so later sessions have later names.
 *
 * In keyed runs an item is where the last session that had to say so put it: `items` frames tell a list of keys, in the order
 * of the items, of which the first ones may be those of another list, its base. A session writes one when readers would find
 * an item that is settled elsewhere than it is, or would find one that it has not, or when there is a list and it is another.
 * Of the lists of which nothing is missing the one whose name sorts last counts: an item is where its key is in it, and what is
 * not in it is not told of, but stays recorded. Without any list an item is where its outcome says, and there are as many as
 * the largest `total` says; so a session that has less writes a list, too.
 *
 * In runs without keys a `total`, or a `source` of fewer than 1000 items, says where an iterable ended. It is not believed when
 * an item behind that is on record, be it settled, `running` or `alone`; of those believed the one in the highest stem counts.
 * Of several `source` frames of one block that with the most items counts.
 *
 * Duty of the reader. A version above 4 (with a header whose own checksum holds) is refused and nothing touched. Lengths
 * are believed only if the frame ends within the file. A frame whose head holds and whose body does not tells which items
 * are damaged. Where no frame begins, look for the next one that holds; if there is none up to the end of a segment, its
 * tail is torn, as a killed writer leaves it, unless it was put whole: then it is damaged. A snapshot that has any damage,
 * or no `close` at its end, does not stand for the files it covers: read those too if they are there. Read them too when
 * they have grown since. List `seg/` first, then `snap/`, and start over when a listed file is gone.
 *
 * test/fixtures/checkpoint-v1.* hold segments written by the first release, checkpoint-v2.* one with a list of items,
 * checkpoint-v3.* one with values taken apart.
 */
import { crc32 } from 'node:zlib'
import { createReader, createWriter, type Reader, type Writer } from '../../values/bytes.ts'
import { countOf, type FileHeader, type FoundFrame, type Head, MAX_BODY_BYTES, MAX_HEAD_BYTES } from './frame.ts'
import { checkHead } from './head.ts'
import type { Layout } from './scan.ts'

const KINDS = [
  'outcomes',
  'failure',
  'running',
  'source',
  'total',
  'close',
  'covers',
  'origin',
  'died',
  'alone',
  'items',
  'attempted',
] as const
const MAGIC = Buffer.from('PAWL')
const MARK = Buffer.from('PF')
const HEADER_BYTES = 28
const FRAME_BYTES = 24

/** The binary form. */
export const binaryLayout: Layout = {
  format: 'msgpack',
  opening: MAGIC,
  minBytes: FRAME_BYTES,
  writeHeader,
  readHeader,
  writeFrame,
  readFrame,
  findNext,
}

function writeHeader({ version, kind, fingerprint, createdAt, isWhole }: FileHeader): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(bytes)
  bytes.writeUInt16LE(version, 4)
  bytes.writeUInt8(kind === 'snapshot' ? 1 : 0, 6)
  bytes.writeUInt8(isWhole ? 1 : 0, 7)
  bytes.write(fingerprint, 8, 8, 'hex')
  bytes.writeDoubleLE(createdAt, 16)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 24)), 24)
  return bytes
}

function readHeader(bytes: Buffer): { header: FileHeader; end: number } | undefined {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(24) !== crc32(bytes.subarray(0, 24))) return undefined
  if (!bytes.subarray(0, 4).equals(MAGIC)) return undefined
  const header: FileHeader = {
    version: bytes.readUInt16LE(4),
    kind: bytes.readUInt8(6) === 1 ? 'snapshot' : 'segment',
    fingerprint: bytes.toString('hex', 8, 16),
    createdAt: bytes.readDoubleLE(16),
    ...(bytes.readUInt8(7) === 1 ? { isWhole: true as const } : {}),
  }
  return { header, end: HEADER_BYTES }
}

function writeFrame(head: Head, body: readonly Uint8Array[], seed: number): Uint8Array[] {
  const headBytes = writeHead(head)
  let bodyBytes = 0
  let bodySum = seed
  for (const part of body) {
    bodyBytes += part.byteLength
    bodySum = crc32(part, bodySum)
  }
  const fixed = Buffer.allocUnsafe(FRAME_BYTES)
  MARK.copy(fixed)
  fixed.writeUInt8(KINDS.indexOf(head.kind), 2)
  fixed.writeUInt8(0, 3)
  fixed.writeUInt32LE(headBytes.byteLength, 4)
  fixed.writeUInt32LE(bodyBytes, 8)
  fixed.writeUInt32LE(crc32(headBytes, seed), 12)
  fixed.writeUInt32LE(bodySum, 16)
  fixed.writeUInt32LE(crc32(fixed.subarray(0, 20), seed), 20)
  return [fixed, headBytes, ...body]
}

function readFrame(bytes: Buffer, at: number, seed: number, isChecked: boolean): FoundFrame | number | undefined {
  if (bytes[at] !== MARK[0] || bytes[at + 1] !== MARK[1]) return undefined
  if (at + FRAME_BYTES > bytes.length) return FRAME_BYTES
  if (bytes.readUInt32LE(at + 20) !== crc32(bytes.subarray(at, at + 20), seed)) return undefined
  const headBytes = bytes.readUInt32LE(at + 4)
  const bodyBytes = bytes.readUInt32LE(at + 8)
  if (headBytes > MAX_HEAD_BYTES || bodyBytes > MAX_BODY_BYTES) return undefined
  const bodyStart = at + FRAME_BYTES + headBytes
  const bodyEnd = bodyStart + bodyBytes
  if (bodyEnd > bytes.length && (isChecked || bodyStart > bytes.length)) return bodyEnd - at
  const headPart = bytes.subarray(at + FRAME_BYTES, bodyStart)
  if (bytes.readUInt32LE(at + 12) !== crc32(headPart, seed)) return undefined
  const head = readHead(bytes[at + 2] as number, headPart, bodyBytes)
  if (head === undefined) return undefined
  const isWhole = !isChecked || bytes.readUInt32LE(at + 16) === crc32(bytes.subarray(bodyStart, bodyEnd), seed)
  return { head, start: at, end: bodyEnd, bodyStart, bodyEnd, isWhole }
}

function findNext(bytes: Buffer, from: number): number {
  return bytes.indexOf(MARK, from)
}

function writeHead(head: Head): Uint8Array {
  if (head.kind === 'outcomes') {
    const writer = createWriter()
    writer.varint((head.keys ? 1 : 0) + (head.attempts ? 2 : 0))
    writeRuns(writer, head.runs)
    for (const attempts of head.attempts ?? []) writer.varint(attempts)
    writer.varint(head.columns.length / 2)
    for (const part of head.columns) writer.varint(part)
    if (head.keys) writer.text(JSON.stringify(head.keys))
    return writer.bytes()
  }
  if (head.kind === 'running') {
    const writer = createWriter()
    writeRuns(writer, head.runs)
    for (const hash of head.hashes ?? []) writer.varint(hash)
    return writer.bytes()
  }
  const { kind: _, ...rest } = head
  return Buffer.from(JSON.stringify(rest))
}

function readHead(kind: number, bytes: Buffer, bodyBytes: number): Head | undefined {
  const name = KINDS[kind]
  if (name === undefined) return undefined
  try {
    const reader = createReader(bytes)
    if (name === 'outcomes') return checkHead(readOutcomes(reader), bodyBytes)
    if (name === 'running') {
      const runs = readRuns(reader)
      return checkHead({ kind: name, runs, ...(reader.left > 0 ? { hashes: readRest(reader) } : {}) }, bodyBytes)
    }
    return checkHead({ ...JSON.parse(bytes.toString()), kind: name }, bodyBytes)
  } catch {
    return undefined // The checksum holds and the content does not: whoever wrote it, it is no frame of ours.
  }
}

function readOutcomes(reader: Reader): unknown {
  const flags = reader.varint()
  const runs = readRuns(reader)
  const attempts = flags & 2 ? readMany(reader, countOf(runs)) : undefined
  const columns = readMany(reader, reader.varint() * 2)
  const keys = flags & 1 ? JSON.parse(reader.rest()) : undefined
  return { kind: 'outcomes', runs, columns, ...(attempts ? { attempts } : {}), ...(keys ? { keys } : {}) }
}

function writeRuns(writer: Writer, runs: readonly number[]): void {
  writer.varint(runs.length / 2)
  let expected = 0
  for (let at = 0; at < runs.length; at += 2) {
    const from = runs[at] as number
    const count = runs[at + 1] as number
    writer.varint(from >= expected ? (from - expected) * 2 : (expected - from) * 2 - 1)
    writer.varint(count)
    expected = from + count
  }
}

function readRuns(reader: Reader): number[] {
  const runs = readMany(reader, reader.varint() * 2)
  let expected = 0
  for (let at = 0; at < runs.length; at += 2) {
    const step = runs[at] as number
    const from = step % 2 === 0 ? expected + step / 2 : expected - (step + 1) / 2
    runs[at] = from
    expected = from + (runs[at + 1] as number)
  }
  return runs
}

function readMany(reader: Reader, count: number): number[] {
  if (count > reader.left) throw new RangeError('more numbers than bytes')
  return Array.from({ length: count }, () => reader.varint())
}

function readRest(reader: Reader): number[] {
  const numbers: number[] = []
  while (reader.left > 0) numbers.push(reader.varint())
  return numbers
}
