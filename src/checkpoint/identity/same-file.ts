import { canonicalJson, type RunIdentity } from './fingerprint.ts'
import type { Manifest } from './manifest.ts'

/** What a session is given, as far as it tells which task it runs. */
export interface GivenTask {
  readonly identity: RunIdentity
  /** As in a manifest. */
  readonly taskDigest: string | null
}

/**
 * True when the task is the export of that name of a file with the very same bytes, whatever its path. An inline function has
 * no file.
 */
export function hasSameFile(recorded: Manifest, { identity, taskDigest }: GivenTask): boolean {
  return taskDigest !== null && recorded.taskDigest === taskDigest && recorded.identity.task.export === identity.task.export
}

/**
 * True when a task's path is another only because it counts from another working directory, as far as can be told: the file is
 * the same, and one path is the end of the other. The bytes alone would not do: of two equal files in two folders, each may
 * import what lies beside it.
 */
export function isSameElsewhere(recorded: Manifest, given: GivenTask): boolean {
  return hasSameFile(recorded, given) && endsAlike(recorded.identity.task.module, given.identity.task.module)
}

/** True when that is all that differs. */
export function differsInPlaceOnly(recorded: Manifest, given: GivenTask): boolean {
  const moved = { ...given.identity, task: recorded.identity.task }
  return isSameElsewhere(recorded, given) && canonicalJson(moved) === canonicalJson(recorded.identity)
}

/** True when one path is the other from further down, or may be. */
export function endsAlike(one: string, other: string): boolean {
  const [shorter, longer] = [one, other].map((path) => path.replace(/^(\.\.\/)+/, '')).sort((a, b) => a.length - b.length)
  return `/${longer}`.endsWith(`/${shorter}`)
}
