import { findNextBlock, MIN_BLOCK_BYTES, readBlockHeader, unpackBlock } from '../format/blocks.ts'
import { blockSeedOf } from '../format/frame.ts'
import type { RunFile } from '../format/run-file.ts'
import { createCache } from './cache.ts'
import { type Readable, readBytes, WINDOW_BYTES } from './file-bytes.ts'
import type { FileReport } from './file-report.ts'

/** A block of a compressed file that holds, and what it holds. */
interface RawBlock {
  readonly at: number
  readonly end: number
  readonly bytes: Buffer
}

/** The blocks of a compressed file that begins with `opening`. What of it is no block goes to `report`. */
export async function* unpackBlocks(
  store: Readable,
  file: RunFile,
  opening: Buffer,
  report: FileReport,
): AsyncGenerator<RawBlock> {
  const seed = blockSeedOf(file.stem)
  let base = 0
  let bytes = opening
  let badFrom = -1
  for (let at = 0; at < file.size; ) {
    if (at - base + MIN_BLOCK_BYTES > bytes.length && base + bytes.length < file.size) {
      bytes = await readBytes(store, file, at, WINDOW_BYTES)
      base = at
      if (bytes.length === 0) {
        if (badFrom < 0) badFrom = at // The file is shorter than it was listed as.
        break
      }
    }
    const header = readBlockHeader(bytes, at - base, seed)
    if (header !== undefined && at + header.bytes <= file.size) {
      if (at - base + header.bytes > bytes.length) {
        bytes = await readBytes(store, file, at, Math.max(WINDOW_BYTES, header.bytes))
        base = at
      }
      const raw = await unpackBlock(bytes.subarray(at - base, at - base + header.bytes), header)
      if (badFrom >= 0) report.damage.push({ start: badFrom, end: at })
      badFrom = -1
      if (raw !== undefined) {
        yield { at, end: at + header.bytes, bytes: raw }
        at += header.bytes
        continue
      }
    }
    if (badFrom < 0) badFrom = at
    const next = findNextBlock(bytes, at - base + 1)
    at = next >= 0 ? base + next : Math.max(at + 1, base + bytes.length - MIN_BLOCK_BYTES + 1)
  }
  if (badFrom >= 0) report.torn = file.size - badFrom
}

/** Bytes of what blocks hold that are kept: some of the largest that hold many frames, or one of each file read side by side. */
const MAX_KEPT_BYTES = 2 ** 26

/** What the block at `at` holds; undefined when it is not what it was. */
export type BlockReader = (file: RunFile, at: number) => Promise<Buffer | undefined>

/** Keeps the blocks it read last: one holds up to hundreds of frames, which are asked for one by one. */
export function createBlockReader(store: Readable): BlockReader {
  const kept = createCache<string, Buffer>(MAX_KEPT_BYTES)
  return async (file, at) => {
    const name = `${file.key} ${at}`
    const known = kept.get(name)
    if (known !== undefined) return known
    const block = await readBlock(store, file, at)
    if (block !== undefined && block.length <= MAX_KEPT_BYTES) kept.put(name, block, block.length)
    return block
  }
}

async function readBlock(store: Readable, file: RunFile, at: number): Promise<Buffer | undefined> {
  const header = readBlockHeader(await readBytes(store, file, at, MIN_BLOCK_BYTES), 0, blockSeedOf(file.stem))
  return header && unpackBlock(await readBytes(store, file, at, header.bytes), header)
}
