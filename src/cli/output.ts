import { constants, createWriteStream, fstatSync, statSync, writeSync } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { basename, dirname, extname, join, relative, sep } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { WriteStream } from 'node:tty'
import { isOfRun } from '../checkpoint/format/run-file.ts'
import { messageOf } from '../errors.ts'
import { codeOf, DENIED, nameError } from '../store/errno.ts'
import { refuse } from '../values/contract.ts'
import { writeJson } from '../values/json.ts'
import { replaceFile, tryAside } from './aside.ts'
import { descriptorOf } from './descriptor.ts'
import { isPassing, UsageError } from './failure.ts'
import { openToWrite } from './pipe.ts'
import { isInProject, isThere, toProjectPath, toRealPath } from './task-path.ts'
import { escapeJson, inBlocks, isReaderGone, say, stdout } from './terminal.ts'

/** In the mode of a directory: only its owner, and that of a file in it, may put another in the file's place. */
const STICKY = 0o1000

/**
 * Where results go. `undefined` is stdout. A file is replaced whole or not at all: the new one is written aside, synced
 * and renamed. A pipe or device is written to as it is, and so is what is open already (`/dev/stdout`), be it a file.
 */
export type Target = string | undefined

/**
 * Makes sure, before any work is done, that `path` can be written.
 *
 * @throws UsageError when its directory is missing or closed to us, it is a directory or mounted by itself, or open already and
 * not for us to write; the error of the system where there is no room for it now.
 */
export async function checkTarget(path: Target): Promise<void> {
  if (path === undefined) return
  const found = await stat(path).catch((error) => {
    if (codeOf(error) === DENIED && isDevice(path)) throw explainDevice(path, error)
  })
  if (found?.isDirectory() || path.endsWith('/'))
    throw new UsageError(`Cannot write output '${path}': expected a file, got a directory`)
  const descriptor = descriptorOf(path)
  if (found && !found.isFile()) return descriptor === undefined ? checkDevice(path) : undefined
  if (descriptor !== undefined) return checkDescriptor(path, descriptor)
  const real = toRealPath(path)
  if (found && (await isMounted(real)))
    throw new UsageError(
      `Cannot write output '${path}': expected a file that another can take the place of, got one that is mounted by itself, as into a container. Mount its directory, and name a file in there`,
    )
  if (found && (await isKept(real, found.uid)))
    throw new UsageError(
      `Cannot write output '${path}': expected a file that another can take the place of, got one of another user in a directory where only its owner may do that, as /tmp is. Name another file`,
    )
  await tryAside(real).catch((error: NodeJS.ErrnoException) => {
    if (isPassing(error)) throw error
    const told = codeOf(error) === DENIED ? Object.assign(error, { resource: dirname(real) }) : error
    const { code, message } = nameError(told) as NodeJS.ErrnoException
    const got = code === 'ENOENT' ? `no directory '${dirname(toProjectPath(real))}'. Make it first` : message
    throw new UsageError(`Cannot write output '${path}': expected a directory that files can be made in, got ${got}`)
  })
}

/** Whether `path` is called as a device is that is not open already. */
function isDevice(path: string): boolean {
  return path.startsWith('/dev/') && !path.startsWith('/dev/shm/') && descriptorOf(path) === undefined
}

/**
 * Whether results go to `path` also where only a record names it, which anybody may have written: within the project, or to a
 * file that is called what results are called. stdout and stderr are written to anyway.
 */
export function isTrusted(path: string): boolean {
  const isCalledSo = ['.jsonl', '.ndjson', '.json'].includes(extname(path))
  return isInProject(path) || isCalledSo || [1, 2].includes(Number(descriptorOf(path)))
}

/** When the file that `path` names, to be replaced by results, was written; undefined where there is none. */
export function findWritten(path: string): number | undefined {
  const found = descriptorOf(path) === undefined ? fileAt(path) : undefined
  return found?.isFile ? found.writtenAt : undefined
}

/** Whether something is mounted at `path`; of a single file its container, or whoever made it, may have done so. */
async function isMounted(path: string): Promise<boolean> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '') // Linux only.
  const unescape = (text = '') => text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
  return mounts.split('\n').some((line) => unescape(line.split(' ')[4]) === path)
}

/** Whether the directory of the file at `path` is sticky, and neither it nor the file, which `owner` has, is this user's. */
async function isKept(path: string, owner: number): Promise<boolean> {
  const found = await stat(dirname(path)).catch(() => undefined) // What is wrong with it is told of the try that follows.
  if (found === undefined || (found.mode & STICKY) === 0) return false
  return ![0, undefined, owner, found.uid].includes(process.geteuid?.())
}

/** Of a pipe or a device nothing is tried, as somebody may listen. */
async function checkDevice(path: string): Promise<void> {
  await access(path, constants.W_OK).catch((error) => {
    throw explainDevice(path, error)
  })
}

function explainDevice(path: string, error: unknown): UsageError {
  const got = messageOf(nameError(error))
  return new UsageError(`Cannot write output '${path}': expected a pipe or a device that may be written, got ${got}`)
}

/** Only a file is asked: there is no telling what a device makes of being written nothing. */
function checkDescriptor(path: string, descriptor: number | 'elsewhere'): void {
  let got = 'a file that another process has open'
  try {
    if (descriptor !== 'elsewhere') return void writeSync(descriptor, '')
  } catch (error) {
    got = (error as Error).message
  }
  throw new UsageError(`Cannot write output '${path}': expected a file, or one that pawl was given open for writing, got ${got}`)
}

/** What must not be replaced by results. */
export interface InUse {
  /** Files that are read: the input, the task. */
  readonly files: readonly string[]
  /** Further ones, by the names that a glob gave and they have: maybe so many that not each can be asked for its real path. */
  readonly listed?: readonly string[]
  /** Whether stdin is read, which may be a file as well. */
  readonly stdin?: boolean
  /** Where runs are recorded, and the one that is. */
  readonly directory?: string | undefined
  readonly runId?: string | undefined
}

/**
 * Makes sure that writing `path` replaces nothing that is still needed, whatever it is called there.
 *
 * @throws UsageError
 */
export function checkApart(path: Target, { files, listed = [], stdin = false, directory, runId }: InUse): void {
  if (path === undefined) return
  const target = toRealPath(path)
  const found = fileAt(path)
  const isTarget = (it: string) => toRealPath(it) === target || (found !== undefined && fileAt(it)?.id === found.id)
  const mayBeTarget = (it: string) => basename(it) === basename(target) || (found !== undefined && found.names > 1)
  const isStdin = stdin && found?.isFile === true && fileAt(0)?.id === found.id
  const file = isStdin ? 'stdin' : files.find(isTarget)
  const match = file ?? listed.find((it) => mayBeTarget(it) && isTarget(it))
  if (match !== undefined) {
    const isComing = file === undefined && found === undefined
    const got = isComing ? "one that the input's glob matches, so that the next session would read it" : `${match}, which is read`
    throw new UsageError(`Cannot write output '${path}': expected a file of its own, got ${got}`)
  }
  const [other = '', ...names] = target.split(sep).slice(-3)
  if (isOfRun([other, ...names].join('/'))) throw inRecord(path, other)
  if (directory === undefined) return
  const [run, folder, ...rest] = relative(toRealPath(directory), target).split(sep)
  if (run === undefined || run === '..' || folder === undefined) return
  const isRecorded = rest.length > 0 && ['run', 'seg', 'snap', 'lease'].includes(folder)
  if (isRecorded || run === runId || isThere(join(directory, run, 'run'))) throw inRecord(path, run)
}

function inRecord(path: string, run: string): UsageError {
  return new UsageError(`Cannot write output '${path}': expected a file of its own, got one in the record of run '${run}'`)
}

/** What is at a path, or open under a number. */
interface Found {
  readonly id: string
  /** How many names (hard links) it has. */
  readonly names: number
  /** False of a terminal, say, which may well be read and written at once. */
  readonly isFile: boolean
  readonly writtenAt: number
}

/** Which file is there, whatever it is called. undefined when nobody tells. */
function fileAt(place: string | number): Found | undefined {
  try {
    const found = typeof place === 'number' ? fstatSync(place, { bigint: true }) : statSync(place, { bigint: true })
    const { dev, ino, nlink, mtimeMs } = found
    return { id: `${dev}:${ino}`, names: Number(nlink), isFile: found.isFile(), writtenAt: Number(mtimeMs) }
  } catch {
    return undefined
  }
}

/**
 * Writes `lines`, each with a newline. Nobody reading stdout any more is a quiet end; of a named pipe it is told.
 *
 * @throws RunAbortedError once `signal` aborts, where the target is a named pipe that nobody reads.
 */
export async function writeLines(
  target: Target,
  lines: AsyncIterable<string> | Iterable<string>,
  signal?: AbortSignal,
): Promise<void> {
  const descriptor = target === undefined ? 1 : descriptorOf(target)
  if (target === undefined || descriptor === 1) return writeOpen(stdout(), lines)
  if (descriptor === 2) return writeOpen(process.stderr, lines)
  await writeFileLines(target, descriptor, lines, signal).catch((error: NodeJS.ErrnoException) => {
    if (error.syscall !== undefined && !error.message.includes(target)) error.message += ` '${target}'`
    throw error
  })
}

async function writeFileLines(
  target: string,
  descriptor: ReturnType<typeof descriptorOf>,
  lines: AsyncIterable<string> | Iterable<string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const found = await stat(target).catch(() => undefined)
  if (found?.isFile() && typeof descriptor === 'number')
    return pipeline(Readable.from(inBlocks(lines, '\n')), createWriteStream('', { fd: descriptor, autoClose: false }))
  if (found && !found.isFile()) {
    const out = found.isFIFO() ? await openToWrite(target, signal) : createWriteStream(target)
    return pipeline(Readable.from(inBlocks(lines, '\n')), out).catch((error) => {
      if (!isReaderGone(error)) throw error
      say(`nobody reads '${target}' any more: the rest of the results was not written there`)
    })
  }
  await replaceFile(toRealPath(target), found?.mode, inBlocks(lines, '\n')) // The link stays, and its file is replaced, or made.
}

const IN_A_PROGRAM =
  'What is recorded of it a program reads with readResults(); the other results are there for a task that returns plain data'

/**
 * The line of a fulfilled item: JSON, without `value` when it is undefined.
 *
 * @throws SerializationError for a value JSON cannot hold.
 */
export function resultLine(index: number, value: unknown): string {
  if (value === undefined) return `{"index":${index}}`
  const written = writeJson(value)
  if (typeof written !== 'string')
    throw refuse('line', index, { cure: IN_A_PROGRAM, ...written }, undefined, 'write a line of').error
  return `{"index":${index},"value":${written}}`
}

async function writeOpen(out: WriteStream, lines: AsyncIterable<string> | Iterable<string>): Promise<void> {
  const blocks = inBlocks(out.isTTY ? escaped(lines) : lines, '\n')
  await pipeline(Readable.from(blocks), out, { end: false }).catch((error) => {
    if (!isReaderGone(error)) throw error
  })
}

async function* escaped(lines: AsyncIterable<string> | Iterable<string>): AsyncGenerator<string> {
  for await (const line of lines) yield escapeJson(line)
}
