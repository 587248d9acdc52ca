import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { stripEnd } from '../items/file-items.ts'
import type { Json } from '../types.ts'
import { BLANK_LINE, explainLong, explainNoJson, findBadLine, findLongLine, NO_UTF8 } from './fault.ts'
import { Findings, type Scanned, type Stretch } from './findings.ts'

/**
 * Looks at every line of a block of an input file: the task of a run of our own, so that workers do it, and a function that
 * the main thread calls for a file that is not worth a thread.
 */

export default async function scan(stretch: Stretch): Promise<Scanned> {
  const { bytes, longest } = stretch
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const digest = createHash('sha256').update(view).digest('hex')
  const found = new Findings(stretch)
  const tooLong = bytes.length > longest ? await findLong(view, stretch) : undefined
  if (tooLong) found.fail(tooLong.line, tooLong.problem)
  else if (!isUtf8(view)) found.fail(findBadLine(view) - stretch.line, NO_UTF8)
  else if (stretch.format.kind === 'csv') (await import('./csv.ts')).scanRows(view, stretch.from, stretch.format, found)
  else scanLines(view, stretch.from, stretch.format.kind, found)
  return found.end(digest)
}

/** Of a block that is no string, the line that is none; of CSV, whose rows are read together, the one that makes it so long. */
async function findLong(bytes: Buffer, { from, format, longest }: Stretch): Promise<Scanned['fault']> {
  if (format.kind === 'csv') {
    const { findLongestRow } = await import('./csv.ts')
    return { line: findLongestRow(bytes, from, format.delimiter), problem: explainLong('row', longest / 2) }
  }
  const line = findLongLine(bytes, from, longest)
  return line === undefined ? undefined : { line, problem: explainLong('line', longest) }
}

function scanLines(bytes: Buffer, from: number, kind: 'jsonl' | 'text', found: Findings): void {
  for (let at = from; at < bytes.length; ) {
    const end = bytes.indexOf(0x0a, at) + 1 || bytes.length
    const text = bytes.toString('utf8', at, end)
    found.lines++
    at = end
    if (kind === 'text') found.add(stripEnd(text), end, '')
    else if (!scanJson(text, end, found)) return
  }
}

function scanJson(text: string, end: number, found: Findings): boolean {
  const addBlank = () => {
    found.addBlank(() => found.lines)
    return true
  }
  if (text === '\n') return addBlank() // There may be many, and what JSON.parse throws takes its time.
  let item: Json
  try {
    item = JSON.parse(text) as Json
  } catch (error) {
    return text.trim() === '' ? addBlank() : found.fail(found.lines, explainNoJson(stripEnd(text), error), BLANK_LINE)
  }
  return found.add(item, end, BLANK_LINE)
}
