import { UsageError } from './failure.ts'
import { explainLong, findBadLine, MAX_LINE, NO_UTF8 } from './fault.ts'

const NEWLINE = 0x0a

/**
 * The lines of a byte stream, in blocks, without their `\n` or `\r\n`. A byte order mark at the beginning is left out,
 * and so is what follows the last newline when it is empty. (node:readline also breaks at U+2028, which is legal
 * within JSON strings.) `name` is the file, for messages.
 *
 * @throws UsageError for bytes that are not UTF-8, or a line of more than `longest` bytes.
 */
export async function* readLines(bytes: AsyncIterable<Uint8Array>, name: string, longest = MAX_LINE): AsyncGenerator<string[]> {
  let isFirst = true
  for await (const text of readText(bytes, name, longest)) {
    const from = isFirst && text.startsWith('\ufeff') ? 1 : 0
    isFirst = false
    const lines = text.slice(from, text.endsWith('\n') ? -1 : undefined).split('\n')
    yield text.includes('\r') ? lines.map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line)) : lines
  }
}

/**
 * The text of a byte stream, in blocks of whole lines, with all that ends them. `name` is the file, for messages.
 *
 * @throws UsageError, with the line, for bytes that are not UTF-8, or a line of more than `longest`.
 */
async function* readText(bytes: AsyncIterable<Uint8Array>, name: string, longest: number): AsyncGenerator<string> {
  let rest: Uint8Array[] = []
  let lineCount = 0
  const decodeRest = () => {
    const block = Buffer.concat(rest)
    rest = []
    const text = decode(block)
    if (text === undefined) throw new UsageError(`Cannot read ${name}, line ${lineCount + findBadLine(block)}: ${NO_UTF8}`)
    for (let at = block.indexOf(NEWLINE); at >= 0; at = block.indexOf(NEWLINE, at + 1)) lineCount++
    return text
  }
  for await (const part of bytes) {
    const first = part.indexOf(NEWLINE) + 1 || part.length
    const end = part.lastIndexOf(NEWLINE) + 1
    const length = rest.reduce((sum, { length }) => sum + length, 0)
    if (length + first > longest)
      throw new UsageError(`Cannot read ${name}, line ${lineCount + 1}: ${explainLong('line', longest)}`)
    // A long line may be as much as a string holds: what follows it is another one.
    const cuts = length + end > longest ? [first, end] : [end]
    let from = 0
    for (const cut of cuts) {
      if (cut === from) continue
      rest.push(part.subarray(from, cut))
      yield decodeRest()
      from = cut
    }
    if (end < part.length) rest.push(part.subarray(end))
  }
  if (rest.length > 0) yield decodeRest()
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}
