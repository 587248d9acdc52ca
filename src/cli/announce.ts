import { extname } from 'node:path'
import { plural } from '../errors.ts'
import { inShell } from '../wording.ts'
import type { Assignment } from './assignment.ts'
import { remarkOnFields } from './fault.ts'
import type { Input } from './input.ts'
import { say } from './terminal.ts'

/** Files that programs take for tables. */
const TABLES = ['.csv', '.tsv']

/** Said when nothing refuses the run any more. */
export function announce({ input, output, runId, directory, isDeclined, quiet }: Assignment, { kind, items }: Input): void {
  if (input === '-' && runId === undefined && !isDeclined) say('items from stdin are not recorded; --run-id ID records them')
  else if (!quiet) {
    const count = 'length' in items ? ` of ${plural(items.length, 'item')}` : ''
    say(directory === undefined ? `run${count}, not recorded` : `run ${runId}${count}, recorded in ${directory}`)
  }
  if (!quiet && output !== undefined && TABLES.includes(extname(output).toLowerCase()))
    say(`${output} gets JSONL, which it is not called: a line {"index","value"} for each result`)
  if (!('length' in items)) return
  // Nothing is run: whoever wants no progress is to know.
  if (items.length === 0) say(`${input} holds no items`)
  else if (!quiet) remark(input, kind, items)
}

/** What is legal, but hardly meant. */
function remark(input: string, kind: Input['kind'], items: readonly unknown[]): void {
  const fields = kind === 'csv' ? remarkOnFields(Object.keys(items[0] as object)) : undefined
  if (fields !== undefined) say(`${input}: ${fields}`)
  const only = items.length === 1 && kind === 'jsonl' ? items[0] : undefined
  if (Array.isArray(only))
    say(
      `${input} holds one item, an array of ${only.length}; 'jq -c ".[]" ${inShell(input)}' prints a line, and so an item, for each element`,
    )
}
