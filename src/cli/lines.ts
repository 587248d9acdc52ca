import { UsageError } from './failure.ts'

const NEWLINE = 0x0a

/**
 * The lines of a byte stream, in blocks, without their `\n` or `\r\n`. A byte order mark at the beginning is left out,
 * and so is what follows the last newline when it is empty. (node:readline also breaks at U+2028, which is legal
 * within JSON strings.) `name` is the file, for messages.
 *
 * @throws UsageError for bytes that are not UTF-8.
 */
export async function* readLines(bytes: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<string[]> {
  let rest: Uint8Array[] = []
  let lineCount = 0
  for await (const part of bytes) {
    const end = part.lastIndexOf(NEWLINE) + 1
    if (end > 0) {
      const lines = splitLines(Buffer.concat([...rest, part.subarray(0, end - 1)]), name, lineCount)
      lineCount += lines.length
      yield lines
      rest = []
    }
    if (end < part.length) rest.push(part.subarray(end))
  }
  if (rest.length > 0) yield splitLines(Buffer.concat(rest), name, lineCount)
}

/** `block` without its last newline. `before`: how many lines came earlier. */
function splitLines(block: Uint8Array, name: string, before: number): string[] {
  const text = decode(block)
  if (text === undefined) throw new UsageError(`Cannot read ${name}, line ${before + findBadLine(block)}: expected UTF-8`)
  const lines = (before === 0 && text.startsWith('\ufeff') ? text.slice(1) : text).split('\n')
  return text.includes('\r') ? lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line)) : lines
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Which line of `block`, from 1, is not UTF-8. */
function findBadLine(block: Uint8Array): number {
  let line = 1
  for (let start = 0; ; line++) {
    const end = block.indexOf(NEWLINE, start)
    if (end < 0 || decode(block.subarray(start, end)) === undefined) return line
    start = end + 1
  }
}
