import { type Dirent, readdir } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename, dirname, isAbsolute, posix, relative, resolve } from 'node:path'
import { codeOf } from '../store/errno.ts'
import { isRefused } from '../store/refused.ts'
import { UsageError } from './failure.ts'
import { isThere, toProjectPath, toRealPath } from './task-path.ts'

/** What matches a glob, each by its path from the working directory. */
export interface Matches {
  /** Files, and symbolic links to files or to nothing, in no order. */
  readonly paths: string[]
  /** Those of them that are symbolic links. */
  readonly linked: readonly string[]
  /** Directories where others may match, but that may not be read. */
  readonly closed: readonly Closed[]
}

/** A directory that may not be read. */
interface Closed {
  /** From the working directory. */
  readonly path: string
  /** What the system, or Node, says of it. */
  readonly error: unknown
}

/**
 * What matches the pattern `given`; undefined when it is none. A symbolic link to a directory is gone through like a directory,
 * but not by a pattern that may go to any depth, which would find no end where links lead in a circle.
 *
 * `output`: a path that is taken for a file, by its real path, though it need not be there yet.
 *
 * @throws UsageError when the name of one, or of a directory that may have some, is no UTF-8, and so opens nothing; the error of
 * the system when there is a directory that cannot be read now.
 */
export async function listGlob(given: string, output?: string): Promise<Matches | undefined> {
  const { glob, isDynamicPattern } = await import('tinyglobby')
  // Else what the directories above the working directory are called, say `[team]`, would be a part of the pattern.
  const pattern = isAbsolute(given) ? relative(process.cwd(), given) : posix.normalize(given)
  const { top, below } = splitAbove(pattern)
  // In braces that stand for one thing tinyglobby sees a name, also where a `*` follows.
  if (!isDynamicPattern(below) && !/[*?]/.test(below.replace(/\\./g, ''))) return undefined
  const unnamed: string[] = []
  const closed: Closed[] = []
  const failed: Error[] = []
  const links = new Set<string>()
  const isBounded = !goesDeep(below)
  const target = output === undefined ? undefined : toRealPath(output)
  const noteUnnamed = (path: string) => {
    if (path.includes(REPLACED) && !isThere(path)) unnamed.push(toProjectPath(path))
  }
  const list = ((
    folder: string,
    options: { withFileTypes: true },
    onList: (error: Error | null, entries: readonly Entry[]) => void,
  ) => {
    const path = resolve(top, showLineEnds(posix.relative(TOP, folder)))
    noteUnnamed(path)
    readdir(path, options, (error, entries = []) => {
      if (isRefused(error)) closed.push({ path: toProjectPath(path), error })
      else if (error && !ABSENT.has(codeOf(error))) failed.push(error)
      const isHome = target !== undefined && dirname(target) === toRealPath(path)
      const all = isHome ? withFile(entries, basename(target)) : entries
      void followLinks(path, all, links, isBounded).then((found) => onList(error, found.map(nameForMatch)))
    })
  }) as unknown as typeof readdir
  const options = { cwd: TOP, expandDirectories: false, followSymbolicLinks: false, fs: { readdir: list } }
  const found = (await glob(hideLineEnds(below), options)).map(showLineEnds)
  const paths = below === pattern ? found : found.map((path) => relative(process.cwd(), resolve(top, path)))
  if (failed[0]) throw failed[0]
  paths.forEach(noteUnnamed)
  const [first] = unnamed.sort()
  const linked = links.size === 0 ? [] : paths.filter((it) => links.has(resolve(it)))
  if (first === undefined) return { paths, linked, closed: closed.sort((a, b) => (a.path < b.path ? -1 : 1)) }
  throw new UsageError(
    `Cannot use input '${given}': expected names of files in UTF-8, got other bytes in '${first}'. Rename it, or leave it out of the glob`,
  )
}

/**
 * What tinyglobby takes for the directory that it looks in: what is above a pattern may have any name, and of a `\` in one
 * tinyglobby makes a `/`.
 */
const TOP = '/top'

/**
 * `pattern` as the directory that it names first, above the working directory or below, and what is to be found in there: from
 * further below, tinyglobby calls what lies in the working directory by shorter names than the pattern has, and leaves it out,
 * and of a directory with a `\` in its name it finds none.
 */
function splitAbove(pattern: string): { readonly top: string; readonly below: string } {
  const [fixed = ''] = /^((\\.|[^\\/()[\]{}*?!+@|])+\/)*/.exec(pattern) ?? []
  const below = pattern.slice(fixed.length).replace(/^!(?!\()/, '\\!') // At the head of a pattern it is more than a letter.
  return { top: resolve(fixed.replace(/\\(.)/g, '$1')), below }
}

/** What `**` matches in no name. In its place tinyglobby sees halves of characters, which are in no name that is UTF-8. */
const LINE_ENDS = '\n\r\u2028\u2029'
const HALVES = '\ud800\ud801\ud802\ud803'

const hideLineEnds = (name: string) => name.replace(/[\n\r\u2028\u2029]/g, (end) => HALVES[LINE_ENDS.indexOf(end)] as string)
const showLineEnds = (name: string) =>
  name.replace(/[\ud800-\ud803](?![\udc00-\udfff])/g, (half) => LINE_ENDS[HALVES.indexOf(half)] as string)

/** Stands in a name for bytes that are no UTF-8, and maybe for itself. */
const REPLACED = '\ufffd'

/** What the system says of a directory that is gone by now, or is none. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR'])

/** True of a pattern that may go to any depth: by `**`, or by a group with a `/` in it. */
function goesDeep(pattern: string): boolean {
  return /\*\*|[({]/.test(pattern.replace(/[({][^(){}/]*[)}]/g, ''))
}

type Entry = Pick<Dirent, 'name' | 'isFile' | 'isDirectory' | 'isSymbolicLink'>

/**
 * The entries of `folder`, each symbolic link as what it leads to, and noted in `links`: to nothing as a file, which whoever reads
 * it will tell. One to a directory stays a link, which nobody goes through, unless `intoFolders`.
 */
async function followLinks(
  folder: string,
  entries: readonly Entry[],
  links: Set<string>,
  intoFolders: boolean,
): Promise<readonly Entry[]> {
  const follow = async (entry: Entry): Promise<Entry> => {
    if (!entry.isSymbolicLink()) return entry
    const path = resolve(folder, entry.name)
    const found = await stat(path).catch(() => undefined)
    if (found?.isDirectory() && !intoFolders) return entry
    links.add(path)
    const { name } = entry
    return found ? Object.assign(found, { name }) : asFile(name)
  }
  return entries.some((it) => it.isSymbolicLink()) ? Promise.all(entries.map(follow)) : entries
}

function withFile(entries: readonly Entry[], name: string): readonly Entry[] {
  return entries.some((it) => it.name === name) ? entries : [...entries, asFile(name)]
}

const asFile = (name: string): Entry => ({ name, isFile: () => true, isDirectory: no, isSymbolicLink: no })

function nameForMatch(entry: Entry): Entry {
  const name = hideLineEnds(entry.name)
  return name === entry.name ? entry : Object.assign(entry, { name })
}

const no = () => false
