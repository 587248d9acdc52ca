import { type Listeners, resolveOptions } from '../options.ts'
import type { Plan } from '../types.ts'
import { wordsIn, wordsInList } from '../wording.ts'
import { OK } from './failure.ts'
import { type CommonFlags, type FlagValues, toOptions } from './flags.ts'
import { readInput } from './input.ts'
import { parseTask } from './task-path.ts'
import { print, printable, printJson, say } from './terminal.ts'
import { sayHere } from './ways-on.ts'

/**
 * `pawl plan TASK --input …`: runs a few items in a worker and explains how `pawl run` would, which keeps a record; here nothing
 * is recorded.
 */
export async function planRun(task: string, flags: FlagValues & CommonFlags & { readonly input: string }): Promise<number> {
  const [{ planOn }, { openEngines }] = await Promise.all([import('../execute.ts'), import('../engines.ts')])
  const engines = openEngines(resolveOptions(toOptions(flags)))
  const on: Listeners = { warning: (warning) => say(`warning: ${sayHere(wordsIn(warning))}`) }
  try {
    const input = await readInput(flags.input, engines)
    const plan = await planOn(
      parseTask(task),
      input.items,
      resolveOptions({ ...toOptions(flags), checkpoint: flags.checkpoint, on, mode: 'threads' }),
      engines,
      { jsonResults: true },
    )
    const found = { ...plan, warnings: wordsInList(plan.warnings).map((words) => sayHere(words)) }
    if (flags.json) await printJson(found)
    else await print(describe(found))
  } finally {
    await engines.close()
    if (flags.input === '-') process.stdin.destroy()
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
