import type { Store } from '../../store/store.ts'
import { seedOf } from '../format/frame.ts'
import { layoutOf, type RunFile } from '../format/run-file.ts'
import { readBytes } from './file-bytes.ts'
import type { BlockReader } from './read-blocks.ts'
import type { FrameAddress, Located } from './read-file.ts'

/**
 * One frame again, checked; undefined when it is not what it was.
 *
 * @param readBlock reads the block it is in, of a compressed file.
 * @throws FileGoneError
 */
export async function readAgain(
  store: Store,
  file: RunFile,
  fingerprint: string,
  address: FrameAddress,
  readBlock: BlockReader,
): Promise<Located | undefined> {
  const bytes = await readStretch(store, file, address, readBlock)
  const readWhole = (stretch: Buffer) => {
    const found = layoutOf(file.format).readFrame(stretch, 0, seedOf(address.stem, fingerprint), true, true)
    return typeof found === 'object' && found.isWhole ? found : undefined
  }
  // Of JSON the newline at its end may be damaged, where the next line told that the frame is whole.
  const found = bytes && (readWhole(bytes) ?? readWhole(bytes.subarray(0, -1)))
  if (found === undefined) return undefined
  return {
    ...found,
    ...address,
    isOwn: file.kind === 'segment',
    body: (bytes as Buffer).subarray(found.bodyStart, found.bodyEnd),
    raw: bytes as Buffer,
  }
}

async function readStretch(
  store: Store,
  file: RunFile,
  { block, start, end }: FrameAddress,
  readBlock: BlockReader,
): Promise<Buffer | undefined> {
  if (block < 0) return readBytes(store, file, start, end - start)
  return (await readBlock(file, block))?.subarray(start, end)
}
