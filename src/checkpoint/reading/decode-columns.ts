import { CheckpointCorruptError } from '../../errors.ts'
import type { Codec } from '../../values/contract.ts'
import type { OutcomesHead } from '../format/frame.ts'

/** The values of a frame, in the order of its indices. Raises CheckpointCorruptError when they are not as many as it says. */
export function decodeColumns(codec: Codec, head: OutcomesHead, body: Buffer): unknown[] {
  const columns: unknown[][] = []
  let start = 0
  for (let at = 0; at < head.columns.length; at += 2) {
    const end = start + (head.columns[at + 1] as number)
    const column = codec.decode(body.subarray(start, end))
    if (column.length !== head.columns[at]) {
      throw new CheckpointCorruptError(`Cannot read recorded values: expected ${head.columns[at]}, got ${column.length}`)
    }
    columns.push(column)
    start = end
  }
  return columns.length === 1 ? (columns[0] as unknown[]) : columns.flat()
}
