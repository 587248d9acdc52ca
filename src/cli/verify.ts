import { type Damage, verifyRun } from '../checkpoint/runs.ts'
import { fileStore } from '../store/file.ts'
import { FAILED, OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { readKnown } from './known-run.ts'
import { print, printable, printJson } from './terminal.ts'

/** `pawl verify RUN`: reads every byte; exit code 1 when something is damaged. */
export async function verify(runId: string, { checkpoint, json }: CommonFlags): Promise<number> {
  const store = fileStore(checkpoint)
  const { ok, damaged } = await readKnown(store, runId, () => verifyRun(store, runId))
  if (json) await printJson({ runId, ok, damaged })
  else if (ok) await print(`${printable(runId)}: all of it is whole\n`)
  else {
    await print(damaged.map((part) => `${describeDamage(part)}\n`).join(''))
    const hasHeld = damaged.some(({ start }) => start !== undefined)
    if (hasHeld)
      await print('What only these held runs again in the next session. They stay where they are, and are told of each time\n')
  }
  return ok ? OK : FAILED
}

/** Items named in a line; `--json` names more. */
const NAMED = 10

/** `seg/a-0.msgpack: the outcomes of 2 items, bytes 120 to 480, items 3, 4`. */
function describeDamage({ file, problem, start, end, items }: Damage): string {
  const place = start === undefined || end === undefined ? '' : `, bytes ${start} to ${end}`
  const named = items === undefined ? '' : `, items ${items.slice(0, NAMED).join(', ')}${items.length > NAMED ? ', …' : ''}`
  return printable(`${file}: ${problem}${place}${named}`)
}
