import { isUtf8 } from 'node:buffer'

/** What is wrong with a line of an input, as its user is told. */

export const BLANK_LINE = 'expected a JSON value, got a blank line'

/** Why `line` is no JSON; undefined when it is. */
export function explainNoJson(line: string): string | undefined {
  try {
    JSON.parse(line)
    return undefined
  } catch (error) {
    const shown = line.length > 60 ? `${line.slice(0, 60)}…` : line
    return `expected a JSON value, got ${shown} (${(error as Error).message})`
  }
}

/** Which line of `bytes`, from 1, is not UTF-8. */
export function findBadLine(bytes: Uint8Array): number {
  let line = 1
  for (let start = 0; ; line++) {
    const end = bytes.indexOf(0x0a, start)
    if (end < 0 || !isUtf8(bytes.subarray(start, end))) return line
    start = end + 1
  }
}
