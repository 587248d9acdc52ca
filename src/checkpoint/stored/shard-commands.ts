import type { Store } from '../../store/store.ts'
import { isCommand } from '../format/run-file.ts'
import { MAX_MANIFEST_BYTES } from '../identity/manifest.ts'

/** The problem of a command of a shard that cannot be read. */
export const COMMAND_DAMAGED = 'what the command line was told for this shard is damaged: its flags and its output are not known'

/** Names below the run of the commands that shards were begun with, and that do not say what to run. */
export async function findDamagedCommands(store: Store, runId: string): Promise<string[]> {
  const damaged: string[] = []
  for (const { key, size } of await store.list(`${runId}/run/`)) {
    if (!isCommand(key)) continue
    const isTooLarge = size > MAX_MANIFEST_BYTES
    const bytes = isTooLarge ? undefined : await store.get(key)
    if (isTooLarge || (bytes !== undefined && !saysWhatToRun(bytes))) damaged.push(key.slice(runId.length + 1))
  }
  return damaged
}

function saysWhatToRun(bytes: Uint8Array): boolean {
  try {
    const command = JSON.parse(Buffer.from(bytes).toString())
    return typeof command?.task === 'string' && typeof command.input === 'string' && typeof command.flags === 'object'
  } catch {
    return false
  }
}
