/**
 * CHECKPOINT FORMAT, version 4, as JSON
 *
 * Values are never taken apart here, so a file says version 4 if there may be an `attempted` frame, 2 if there is an `items`
 * frame, else 1. The same frames as in format.ts, one to a line, UTF-8, each line a JSON object that begins with its checksum:
 *
 *     file    := header frame*
 *     header  := {"crc":"HHHHHHHH","pawl":1,"file":"segment","fingerprint":"…","createdAt":1700000000000}
 *                with ,"whole":true at its end for a segment that was put whole
 *     frame   := {"crc":"HHHHHHHH",<head>}                                         without a body
 *              | {"crc":"HHHHHHHHBBBBBBBB",<head>,"values":<body>}                 with one
 *
 *     outcomes   "index":[[0,9],12]  "attempts":[1,2,…]  "keys":["a",…]   "values":[one for each item]
 *     failure    "failed":{"index":7,"failure":"error","attempts":3,…}    "values":[{"name":"TypeError","message":"…",…},item]
 *     running    "running":[[10,19]]  "hashes":[…]
 *     others     "source":{…}  "total":{…}  "close":{…}  "died":{…}  "covers":{…}  "origin":{…}  "alone":{…}  "items":{…}
 *
 * `index` and `running` name items by `[first, last]`, or by a number where first and last are one. B is the CRC-32 of the
 * body, in 8 hexadecimal digits, H that of everything from B (or, without a body, from `,`) up to `,"values":` or the last
 * `}`; both start from the seed told in format.ts, for the header from 0. A member `values` comes last; the text
 * `,"values":` is nowhere before it, since a quote within a string is written `\"`. The line ends with `}` and a newline;
 * the newline of the last line may be missing.
 *
 * A person reads it with plain tools:
 *
 *     grep '"failed"' seg/*.json
 *     jq -c 'select(.index) | [.index[] | if type == "array" then range(.[0]; .[1] + 1) else . end] as $i
 *            | .values | to_entries[] | { index: $i[.key], value }' seg/*.json
 */
import { crc32 } from 'node:zlib'
import { countOf, type FileHeader, type FoundFrame, type Head, MAX_HEAD_BYTES } from './frame.ts'
import { checkHead } from './head.ts'
import type { Layout } from './scan.ts'

const START = Buffer.from('{"crc":"')
/** How a frame begins, and how many bytes of it that is at most. */
const OPENING =
  /^\{"crc":"[0-9a-f]{8}([0-9a-f]{8})?","((index|running)":\[|(failed|source|total|close|died|covers|origin|alone|items|attempted)":\{)/
const OPENING_BYTES = 41
const VALUES = Buffer.from(',"values":')
/**
 * Places without a frame behind which the rest of a line is passed over: objects in values may begin like frames, and of each
 * that is tried the rest of its line is read, so a line of them would cost the square of its length. Lower, and of damaged lines
 * that lost their newlines, too, fewer are found.
 */
const TRIES = 64
const NEWLINE = 0x0a
const BRACE = 0x7d
const QUOTE = 0x22

/** The JSON form. */
export const jsonLayout: Layout = {
  format: 'json',
  opening: START.subarray(0, 4),
  minBytes: START.length,
  writeHeader,
  readHeader,
  writeFrame,
  readFrame,
  findNext,
}

function writeHeader({ version, kind, fingerprint, createdAt, isWhole }: FileHeader): Buffer {
  const rest = JSON.stringify({ pawl: version, file: kind, fingerprint, createdAt, whole: isWhole }).slice(1, -1)
  return Buffer.from(`${START}${toHex(crc32(`",${rest}`))}",${rest}}\n`)
}

function readHeader(bytes: Buffer): { header: FileHeader; end: number } | undefined {
  const newline = bytes.indexOf(NEWLINE)
  const end = newline < 0 ? bytes.length : newline
  if (!startsAt(bytes, 0) || bytes[end - 1] !== BRACE || crc32(bytes.subarray(16, end - 1)) !== readHex(bytes, 8))
    return undefined
  try {
    const { pawl, file, fingerprint, createdAt, whole } = JSON.parse(bytes.toString('utf8', 0, end))
    if (!Number.isInteger(pawl) || typeof fingerprint !== 'string' || typeof createdAt !== 'number') return undefined
    const kind = file === 'snapshot' ? 'snapshot' : 'segment'
    const header = { version: pawl, kind, fingerprint, createdAt } as const
    return { header: whole === true ? { ...header, isWhole: true } : header, end: end + 1 }
  } catch {
    return undefined
  }
}

function writeFrame(head: Head, body: readonly Uint8Array[], seed: number): Uint8Array[] {
  const members = JSON.stringify(toMembers(head)).slice(1, -1)
  if (body.length === 0) {
    const rest = Buffer.from(`",${members}`)
    return [Buffer.from(`${START}${toHex(crc32(rest, seed))}`), rest, Buffer.from('}\n')]
  }
  let bodySum = seed
  for (const part of body) bodySum = crc32(part, bodySum)
  const rest = Buffer.from(`${toHex(bodySum)}",${members}`)
  return [Buffer.from(`${START}${toHex(crc32(rest, seed))}`), rest, VALUES, ...body, Buffer.from('}\n')]
}

function readFrame(
  bytes: Buffer,
  at: number,
  seed: number,
  isChecked: boolean,
  isLast: boolean,
): FoundFrame | number | undefined {
  if (!startsAt(bytes, at)) return bytes.length - at < START.length && !isLast ? START.length : undefined
  const newline = bytes.indexOf(NEWLINE, at)
  if (newline < 0 && !isLast) return bytes.length - at + 1
  const end = newline < 0 ? bytes.length : newline
  const frame = readLine(bytes, at, end, seed, isChecked)
  if (frame?.isWhole) return frame
  const isTorn = newline < 0
  // The newline itself may be what was damaged: then the next line begins within this one.
  const next = findNext(bytes.subarray(0, end), at + 1)
  const split = next < 0 ? undefined : readLine(bytes, at, next - 1, seed, true)
  return split?.isWhole ? split : isTorn ? undefined : frame
}

function readLine(bytes: Buffer, at: number, end: number, seed: number, isChecked: boolean): FoundFrame | undefined {
  const line = bytes.subarray(at, end)
  if (line[line.length - 1] !== BRACE) return undefined
  const values = line.indexOf(VALUES)
  const headEnd = values < 0 ? line.length - 1 : values
  if (headEnd > MAX_HEAD_BYTES || readHex(line, 8) !== crc32(line.subarray(16, headEnd), seed)) return undefined
  const bodyStart = values < 0 ? headEnd : values + VALUES.length
  const bodyEnd = line.length - 1
  const hasBody = line[16] !== QUOTE
  if (hasBody !== values >= 0) return undefined
  const head = readHead(line.subarray(hasBody ? 24 : 16, headEnd), bodyEnd - bodyStart)
  if (head === undefined) return undefined
  const isWhole = !hasBody || !isChecked || readHex(line, 16) === crc32(line.subarray(bodyStart, bodyEnd), seed)
  return { head, start: at, end: Math.min(end + 1, bytes.length), bodyStart: at + bodyStart, bodyEnd: at + bodyEnd, isWhole }
}

/** Objects in values may begin alike: see TRIES. */
function findNext(bytes: Buffer, from: number, tries = 1): number {
  const start = tries % TRIES === 0 ? bytes.indexOf(NEWLINE, from) : from
  let at = start < 0 ? -1 : bytes.indexOf(START, start)
  while (at >= 0 && at + OPENING_BYTES <= bytes.length && !OPENING.test(bytes.toString('latin1', at, at + OPENING_BYTES)))
    at = bytes.indexOf(START, at + 1)
  return at
}

function toMembers(head: Head): unknown {
  switch (head.kind) {
    case 'outcomes':
      return {
        index: toPairs(head.runs),
        ...(head.attempts ? { attempts: head.attempts } : {}),
        ...(head.keys ? { keys: head.keys } : {}),
      }
    case 'running':
      return { running: toPairs(head.runs), ...(head.hashes ? { hashes: head.hashes } : {}) }
    default: {
      const { kind, ...rest } = head
      return { [kind === 'failure' ? 'failed' : kind]: rest }
    }
  }
}

/** `text`: from the quote that ends the checksum to the end of the head. */
function readHead(text: Buffer, bodyBytes: number): Head | undefined {
  try {
    const members = JSON.parse(`{"":"${text}}`)
    if (members.index !== undefined) {
      const runs = fromPairs(members.index)
      const head = { kind: 'outcomes', runs, columns: [countOf(runs), bodyBytes] }
      if (members.attempts !== undefined) Object.assign(head, { attempts: members.attempts })
      if (members.keys !== undefined) Object.assign(head, { keys: members.keys })
      return checkHead(head, bodyBytes)
    }
    if (members.running !== undefined) {
      const head = { kind: 'running', runs: fromPairs(members.running) }
      return checkHead(members.hashes === undefined ? head : { ...head, hashes: members.hashes }, bodyBytes)
    }
    const name = Object.keys(members)[1] as string
    return checkHead({ ...members[name], kind: name === 'failed' ? 'failure' : name }, bodyBytes)
  } catch {
    return undefined // The checksum holds and the content does not: whoever wrote it, it is no frame of ours.
  }
}

function toPairs(runs: readonly number[]): unknown[] {
  const pairs: unknown[] = []
  for (let at = 0; at < runs.length; at += 2) {
    const from = runs[at] as number
    const count = runs[at + 1] as number
    pairs.push(count === 1 ? from : [from, from + count - 1])
  }
  return pairs
}

function fromPairs(pairs: readonly (number | [number, number])[]): number[] {
  return pairs.flatMap((pair) => (typeof pair === 'number' ? [pair, 1] : [pair[0], pair[1] - pair[0] + 1]))
}

function startsAt(bytes: Buffer, at: number): boolean {
  return bytes.length - at >= START.length && bytes.compare(START, 0, START.length, at, at + START.length) === 0
}

const toHex = (sum: number) => sum.toString(16).padStart(8, '0')

/** The 8 hexadecimal digits at `at`; NaN when they are not. */
function readHex(bytes: Buffer, at: number): number {
  const text = bytes.toString('latin1', at, at + 8)
  return /^[0-9a-f]{8}$/.test(text) ? Number.parseInt(text, 16) : Number.NaN
}
