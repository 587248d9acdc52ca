import { createHash, randomBytes } from 'node:crypto'
import { rmSync } from 'node:fs'
import { lstat, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { herePlace, livesAt, type Place } from '../checkpoint/claims/place.ts'
import { codeOf } from '../store/errno.ts'
import { ageOf, syncFolder } from '../store/folder.ts'
import { syncFile } from '../store/sync-file.ts'

/** A file that is written beside the one whose place it takes: whoever reads that finds one or the other, whole. */

/** Characters of the name that are kept in the one beside it: at most 150 bytes of the 255 that a name may have. */
const MAX_NAME = 50

/**
 * Makes sure that `replaceFile` can make its file, and that one may be called so. Rejects with the error of the system. Removes
 * what was left beside `path` by processes that were killed.
 */
export async function tryAside(path: string): Promise<void> {
  await removeLeftovers(path)
  const aside = asideOf(path)
  await (await open(aside, 'wx')).close()
  await rm(aside, { force: true })
  await lstat(path).catch((error) => {
    if (codeOf(error) !== 'ENOENT') throw error
  })
}

/**
 * Puts `blocks` in the place of the file at `path`, a real path, all of them or nothing. `mode`: that of the file that is there,
 * if any.
 */
export async function replaceFile(path: string, mode: number | undefined, blocks: AsyncIterable<string>): Promise<void> {
  const aside = asideOf(path)
  const stop = beforeEnd(() => rmSync(aside, { force: true }))
  try {
    const file = await open(aside, 'wx', mode ?? 0o666)
    try {
      if (mode !== undefined) await file.chmod(mode).catch(() => {}) // umask took bits of it; not every file system has them.
      for await (const block of blocks) await file.writeFile(block)
      await syncFile(file, 'sync')
    } finally {
      await file.close()
    }
    await rename(aside, path)
    await syncFolder(dirname(path)).catch(() => {}) // The file itself is synced and in place.
  } finally {
    stop()
    await rm(aside, { force: true })
  }
}

/**
 * A name in the same directory, so that the rename stays within one file system. It says which process writes there, so that
 * another can tell whether that lives.
 */
function asideOf(path: string): string {
  const here = herePlace()
  const writer = [machineOf(here), here.pid, here.processStart, randomBytes(3).toString('hex')].join('-')
  return join(dirname(path), `${beginOf(path)}${writer}.tmp`)
}

const beginOf = (path: string) => `.${basename(path).slice(0, MAX_NAME)}.`

/** What is behind `beginOf` in a name that `asideOf` gives: the machine, the process and when that began. */
const WRITER = /^([0-9a-f]{8})-(\d+)-(\d*)-[0-9a-f]{6}\.tmp$/

/** Where numbers of processes mean the same. */
function machineOf({ host, bootId, pidNamespace }: Place): string {
  return createHash('sha256')
    .update(JSON.stringify([host, bootId, pidNamespace]))
    .digest('hex')
    .slice(0, 8)
}

/** Of a writer elsewhere nobody here knows whether it lives; but one that does writes all the time. */
const LEFTOVER_MS = 86_400_000

/** Nobody depends on it, so it never fails. */
async function removeLeftovers(path: string): Promise<void> {
  const [directory, begin, here] = [dirname(path), beginOf(path), herePlace()]
  const names = await readdir(directory).catch(() => [])
  for (const name of names.filter((it) => it.startsWith(begin))) {
    const [, machine, pid, processStart] = WRITER.exec(name.slice(begin.length)) ?? []
    if (machine === undefined || processStart === undefined) continue
    const isHere = machine === machineOf(here)
    const isAlive = isHere ? livesAt({ ...here, pid: Number(pid), processStart }, here) : undefined
    const aside = join(directory, name)
    if (isAlive ?? (await ageOf(aside).catch(() => 0)) < LEFTOVER_MS) continue
    await rm(aside, { force: true }).catch(() => {})
  }
}

/** Calls `clean` when the process ends, also by a signal that nobody else hears, until what is given back is called. */
function beforeEnd(clean: () => void): () => void {
  const unheard = (['SIGINT', 'SIGTERM'] as const).filter((name) => process.listenerCount(name) === 0)
  const die = (name: NodeJS.Signals) => {
    stop()
    clean()
    process.kill(process.pid, name)
  }
  const stop = () => {
    process.off('exit', clean)
    for (const name of unheard) process.off(name, die)
  }
  process.once('exit', clean) // A second signal of a run ends the process here, too.
  for (const name of unheard) process.on(name, die)
  return stop
}
