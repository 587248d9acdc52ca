import { inspectRun, type RunDetails } from '../checkpoint/stored/runs.ts'
import { plural } from '../errors.ts'
import { fileStore } from '../store/file.ts'
import { OK } from './failure.ts'
import type { CommonFlags } from './flags.ts'
import { readKnown } from './known-run.ts'
import { formatBytes, formatTime, print, printable, printJson, table } from './terminal.ts'

/** `pawl inspect RUN`: all that is known of a run. Only reads, also of a live one. */
export async function inspect(runId: string, { checkpoint, json }: CommonFlags): Promise<number> {
  const store = fileStore(checkpoint)
  const details = await readKnown(checkpoint, runId, () => inspectRun(store, runId))
  if (json) await printJson(details)
  else await print(await describe(details))
  return OK
}

async function describe(details: RunDetails): Promise<string> {
  const { sessions, files } = details
  const facts = listFacts(details)
  const width = Math.max(...facts.map(([name]) => name.length)) + 2
  const ended = { closed: 'in order', died: 'cut off', live: 'at work' }
  return [
    ...facts.map(([name, text]) => `${name.padEnd(width)}${printable(text)}\n`),
    await table(
      ['session', 'began', 'ended'],
      sessions.map((it) => [it.writer, formatTime(it.began), ended[it.ended]]),
    ),
    await table(
      ['file', 'size', 'frames', ''],
      files.map(({ name, size, frames, torn, covered }) => [
        name,
        formatBytes(size),
        covered ? '' : String(frames),
        noteOn(torn, covered),
      ]),
    ),
  ].join('')
}

function listFacts(details: RunDetails): [name: string, text: string][] {
  const { runId, status, done, total, failures, task, identity, command, holders, damaged, conflicts } = details
  const holder = holders.map(({ host, pid, shard }) => `process ${pid} on ${host}${shard === null ? '' : ` (shard ${shard})`}`)
  const facts: [string, string | undefined][] = [
    ['run', runId],
    ['status', `${status}${details.live ? ', live' : ''}`],
    ['done', `${done}/${total ?? '?'}, ${failures} failed`],
    ['task', task],
    ['command', command === undefined ? undefined : JSON.stringify(command)],
    ['items', identity && JSON.stringify(identity.items)],
    ['key', identity?.key],
    ['config', identity && identity.config !== null ? JSON.stringify(identity.config) : undefined],
    ['seed', identity && identity.seed !== 0 ? String(identity.seed) : undefined],
    ['begun', `${formatTime(details.createdAt) || 'unknown'}${details.pawl === undefined ? '' : `, by pawl ${details.pawl}`}`],
    ['last write', formatTime(details.lastWrite) || 'unknown'],
    ['at work', holder.length > 0 ? holder.join(', ') : 'nobody'],
    ['record', `${formatBytes(details.bytes)} in ${plural(details.files.length, 'file')}, ${details.formats.join(' and ')}`],
    ['fingerprint', details.fingerprint],
    ['damaged', damaged > 0 ? `${plural(damaged, 'item')}, to be run again` : undefined],
    ['conflicts', conflicts > 0 ? `${plural(conflicts, 'item')} with two different results` : undefined],
  ]
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined)
}

function noteOn(torn: number, isCovered: boolean): string {
  if (isCovered) return 'kept to fall back on'
  return torn > 0 ? `${formatBytes(torn)} cut off at the end` : ''
}
