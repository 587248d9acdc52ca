import type { Plan } from '../types.ts'
import { OK } from './failure.ts'
import { type FlagValues, toOptions } from './flags.ts'
import { readInput } from './input.ts'
import { parseTask } from './task-path.ts'
import { print, printable, printJson } from './terminal.ts'

/** `pawl plan TASK --input …`: runs a few items in a worker and explains; records nothing. */
export async function planRun(
  task: string,
  flags: FlagValues & { readonly input: string; readonly json?: true },
): Promise<number> {
  const { items, kind } = await readInput(flags.input)
  const { plan } = await import('../execute.ts')
  try {
    const found = await plan(parseTask(task), items, toOptions(flags))
    if (flags.json) await printJson(found)
    else await print(describe(found))
  } finally {
    if (kind === 'stdin') process.stdin.destroy()
  }
  return OK
}

function describe({ mode, workers, chunkSize, itemTime, overhead, speedup, reason, warnings }: Plan): string {
  const rows = [
    ['mode', mode],
    ['workers', String(workers)],
    ['chunk size', String(chunkSize)],
    ['item time', `${itemTime.toPrecision(3)} ms`],
    ['overhead', `${overhead.toPrecision(3)} ms`],
    ['speed-up', speedup < 0.95 ? `none: takes ${(1 / speedup).toFixed(1)} times as long` : `${speedup.toFixed(1)} times`],
    ...warnings.map((warning) => ['warning', warning]),
  ] as const
  return `${printable(reason)}\n\n${rows.map(([name, value]) => `${name.padEnd(11)} ${printable(value)}\n`).join('')}`
}
