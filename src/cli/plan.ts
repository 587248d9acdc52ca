import type { Listeners } from '../options/options.ts'
import { resolveOptions } from '../options/resolve-options.ts'
import { describeTime } from '../plan/describe-plan.ts'
import type { Plan } from '../types.ts'
import { wordsIn, wordsInList } from '../wording.ts'
import { OK } from './failure.ts'
import { toCheckpoint, toOptions } from './flags.ts'
import { keyFrom, readInput } from './input.ts'
import type { RunFlags } from './run.ts'
import { parseTask } from './task-path.ts'
import { print, printable, printJson, say } from './terminal.ts'
import { retell, sayHere } from './ways-on.ts'

/**
 * `pawl plan TASK --input …`: runs a few items in a worker and explains how `pawl run` would, given the same line; here nothing is
 * recorded.
 */
export async function planRun(task: string, flags: RunFlags): Promise<number> {
  const { checkpoint: directory, key } = flags
  const [{ planOn }, { openEngines }] = await Promise.all([import('../execute.ts'), import('../engines.ts')])
  const engines = openEngines(resolveOptions(toOptions(flags)))
  const on: Listeners = { warning: (warning) => say(`warning: ${sayHere(wordsIn(warning))}`) }
  try {
    const place = directory === false ? {} : { directory }
    const { items, keys, placeOf } = await readInput(flags.input, { engines, field: key as string | undefined, ...place })
    const options = {
      ...toOptions(flags),
      ...(directory === false ? {} : { checkpoint: toCheckpoint(directory, flags) }),
      ...(typeof key === 'string' ? { key: keyFrom(key, placeOf) } : {}),
      on,
      mode: 'threads' as const,
    }
    const origin = { jsonResults: true, ...(keys ? { keys } : {}) }
    const plan = await planOn(parseTask(task), items, resolveOptions(options), engines, origin).catch((error) => {
      throw retell(error, { flags, placeOf })
    })
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
    ['item time', describeTime(itemTime, 3)],
    ['overhead', describeTime(overhead, 3)],
    ['speed-up', speedup < 0.95 ? `none: takes ${(1 / speedup).toFixed(1)} times as long` : `${speedup.toFixed(1)} times`],
    ...warnings.map((warning) => ['warning', warning]),
  ] as const
  return `${printable(reason)}\n\n${rows.map(([name, value]) => `${name.padEnd(11)} ${printable(value)}\n`).join('')}`
}
