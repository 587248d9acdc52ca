import { basename, dirname, join, resolve } from 'node:path'
import { linkAt, MAX_LINKS, toRealPath } from './task-path.ts'

/** What a process has open, as a real path says it: the process, unless it is this one, and the number. */
const OPEN = /^(?:\/dev|\/proc\/([^/]+)(?:\/task\/\d+)?)\/fd\/(\d+)$/

/**
 * The number of the file descriptor that `path` names, as /dev/stdout, /dev/fd/1 and /proc/self/fd/1 do, also through
 * symbolic links; 'elsewhere' for one of another process; undefined for any other path. Where it leads is then open already:
 * to open it once more would write from its beginning, and to replace it would take it from whoever else writes there.
 */
export function descriptorOf(path: string, links = MAX_LINKS): number | 'elsewhere' | undefined {
  const directory = toRealPath(dirname(resolve(path)))
  const place = join(directory, basename(path))
  const [isOpen, owner, number] = OPEN.exec(place) ?? []
  if (isOpen !== undefined) {
    return owner === undefined || owner === basename(toRealPath('/proc/self')) ? Number(number) : 'elsewhere'
  }
  const target = linkAt(place)
  return target === undefined || links === 0 ? undefined : descriptorOf(resolve(directory, target), links - 1)
}
