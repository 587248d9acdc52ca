import { randomBytes } from 'node:crypto'
import type { Format } from '../../values/contract.ts'
import { binaryLayout } from './format.ts'
import { jsonLayout } from './format-json.ts'
import type { Layout } from './scan.ts'

/**
 * The files of a run by their names: `seg/<writer>-<sequence>.<format>` and `snap/<stem>.<format>`, with `.gz` when compressed,
 * `lease/<writer>`, `run/<fingerprint>.json`, and of the command line `run/command-<K>-of-<N>`. Whatever else there is, somebody
 * put there: nobody reads it, or deletes it but with all of the run.
 */

/** As `newWriter` gives them. A stem has a number behind it; one of a snapshot need not. */
const WRITER = '[0-9a-z]{9}[0-9a-f]+'

const FILE = new RegExp(`^[^/]+/((seg/${WRITER}-\\d+|snap/${WRITER}(?:-\\d+)?)\\.(json|msgpack)(?:\\.gz)?)$`)

const COMMAND = /^[^/]+\/run\/command-\d+-of-\d+$/

const OTHERS = new RegExp(`^[^/]+/(run/[0-9a-f]+\\.json|lease/${WRITER})$`)

/** A segment or snapshot, as the store lists it. */
export interface RunFile {
  readonly key: string
  /** Below the run: `seg/<stem>.json`. */
  readonly name: string
  readonly kind: 'segment' | 'snapshot'
  readonly stem: string
  readonly format: Format
  readonly size: number
}

/** The file of `key`, undefined if its name is none of ours. */
export function toRunFile(key: string, size: number): RunFile | undefined {
  const match = FILE.exec(key)
  if (match === null) return undefined
  const [, name, place, format] = match as unknown as [string, string, string, Format]
  const [folder, stem] = place.split('/') as [string, string]
  return { key, name, kind: folder === 'seg' ? 'segment' : 'snapshot', stem, format, size }
}

/** Whether pawl gives such names to what belongs to a run. */
export function isOfRun(key: string): boolean {
  return FILE.test(key) || OTHERS.test(key) || isCommand(key)
}

/** Where the command line keeps what it was told for `shard`, `K/N`. Not `.json`, which manifests end in. */
export function commandKey(runId: string, shard: string): string {
  return `${runId}/run/command-${shard.replace('/', '-of-')}`
}

/** Whether `commandKey` gives such keys. */
export function isCommand(key: string): boolean {
  return COMMAND.test(key)
}

/** The writer of the segment `stem`. */
export function writerOf(stem: string): string {
  return stem.slice(0, stem.lastIndexOf('-'))
}

/** Which of its writer's segments `stem` is, from 0 on. */
export function sequenceOf(stem: string): number {
  return Number(stem.slice(stem.lastIndexOf('-') + 1))
}

/** Orders files as their writers began, and those of one writer by their number: the tenth comes behind the second. */
export function byStem({ stem: a }: Pick<RunFile, 'stem'>, { stem: b }: Pick<RunFile, 'stem'>): number {
  const [one, other] = [writerOf(a), writerOf(b)]
  if (one === other) return sequenceOf(a) - sequenceOf(b)
  return one < other ? -1 : 1
}

/** The writer of the segment `name`, below its run; undefined if it is the name of none. */
export function writerNamed(name: string): string | undefined {
  const file = toRunFile(`run/${name}`, 0)
  return file?.kind === 'segment' ? writerOf(file.stem) : undefined
}

/** The latest time that has room in a name, in the year 5188. */
const LAST_TIME = 36 ** 9 - 1

/**
 * A name for a session: it sorts by time and behind `earlier` names, is new every time, and has no dot. What comes later counts
 * before what it is later than, and whoever gave those names may have had a clock that was ahead. A program may have put a clock
 * with fractions in place of `Date.now`, or be on a machine whose own is before 1970: what had such a name nobody would read again.
 */
export function newWriter(today: number, earlier: readonly string[] = []): string {
  const time = earlier.reduce((latest, name) => Math.max(latest, timeOf(name) + 1), Math.max(0, Math.trunc(today)))
  return Math.min(time, LAST_TIME).toString(36).padStart(9, '0') + randomBytes(6).toString('hex')
}

/**
 * When the session of `writer` began, in milliseconds since 1970, or just after the latest before it, if its clock was behind: its
 * name begins with it.
 */
export function timeOf(writer: string): number {
  const time = Number.parseInt(writer.slice(0, 9), 36)
  return Number.isFinite(time) ? time : 0
}

/** How the frames of a file of this format become bytes, and bytes frames again. */
export function layoutOf(format: Format): Layout {
  return format === 'json' ? jsonLayout : binaryLayout
}
