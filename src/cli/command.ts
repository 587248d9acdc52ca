import { commandKey } from '../checkpoint/format/run-file.ts'
import { MAX_MANIFEST_BYTES } from '../checkpoint/identity/manifest.ts'
import { nameShard, readShard } from '../items/shard.ts'
import { fileStore } from '../store/file.ts'
import type { Store } from '../store/store.ts'
import type { Json } from '../types.ts'
import type { Assignment, RecordedCommand } from './assignment.ts'
import { descriptorOf } from './descriptor.ts'
import type { FlagValues } from './flags.ts'
import { toProjectPath } from './task-path.ts'
import { say } from './terminal.ts'

/** The command to be recorded of a session. */
export function toCommand(task: string, input: string, output: string | undefined, flags: FlagValues): RecordedCommand {
  const { shard: given, timeLimit, ...lasting } = flags
  const shard = shardIn(flags)
  return {
    task,
    input,
    flags: lasting,
    ...(output === undefined || isOfProcess(output) ? {} : { output: toProjectPath(output) }),
    ...(shard === undefined ? {} : { shard }),
  }
}

/** Whether `output` is what only this process has open: by the same number the next one has something else, or nothing. */
function isOfProcess(output: string): boolean {
  return ![undefined, 1, 2].includes(descriptorOf(output) as number | undefined)
}

/** `K/N`, also of `--shard auto`; undefined without. */
export function shardIn({ shard: option }: FlagValues): string | undefined {
  const shard = typeof option === 'string' ? readShard(option, process.env) : undefined
  return shard && nameShard(shard)
}

/**
 * Keeps the command of a session of a shard apart from the manifest, which holds that of the last one of any shard. Each
 * shard has an object of its own, since shards begin at the same time. One that cannot be written costs a later
 * `pawl resume` the name of the output, not results; that the store fails the session tells.
 */
export async function noteCommand({
  directory,
  runId,
  command,
}: Pick<Assignment, 'directory' | 'runId' | 'command'>): Promise<void> {
  if (directory === undefined || runId === undefined || command.shard === undefined) return
  const bytes = Buffer.from(JSON.stringify(command))
  await fileStore(directory)
    .put(commandKey(runId, command.shard), bytes, { replace: true })
    .catch(() => {})
}

/** The command of the last session of `shard`, not checked yet; undefined when there is none, or a damaged one, which is told. */
export async function readNoted(store: Store, runId: string, shard: string): Promise<Json | undefined> {
  const key = commandKey(runId, shard)
  const bytes = await store.get(key, { start: 0, length: MAX_MANIFEST_BYTES }) // Of one that is larger no JSON is left.
  try {
    return bytes && (JSON.parse(Buffer.from(bytes).toString()) as Json)
  } catch {
    say(
      `${key} is damaged, so what shard ${shard} was told, and its output, are not known: it goes on with the flags of the run's last session; --output FILE says where the results go`,
    )
    return undefined
  }
}
