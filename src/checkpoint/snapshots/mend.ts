import { listWriters } from '../claims/claim.ts'
import { versionOf } from '../format/frame.ts'
import { type RunFile, toRunFile, writerOf } from '../format/run-file.ts'
import { isSound, newReport } from '../reading/file-report.ts'
import { type Located, readFrames } from '../reading/read-file.ts'
import { findCut } from '../record/cut.ts'
import { findOver } from '../record/ends.ts'
import { isAllSettled } from '../record/item-places.ts'
import { listFiles, loadIndex } from '../record/load.ts'
import { findLoss } from '../record/loss.ts'
import type { LoadedFile, RunIndex } from '../record/run-index.ts'
import { findStoodFor } from '../record/stood-for.ts'
import { MAX_SNAPSHOT_BYTES, newStem, putSnapshot, type SnapshotOptions, toWhole, writeOrigin } from './snapshot.ts'

/** The damaged files, and which of them lack their end. `claimed` as for `findCut`. */
export function findDamaged(index: RunIndex, claimed: ReadonlySet<string>): { files: LoadedFile[]; cut: Set<string> } {
  const cut = findCut(index, claimed)
  return { files: index.files.filter((file) => !isSound(file) || cut.has(file.name)), cut }
}

/** Files that a session mended, and ended before it had deleted them: compaction has a snapshot stand for several. */
function findMended({ files, covered }: RunIndex): RunFile[] {
  const alone = files.flatMap(({ isIntact, covers }) => (isIntact && covers.filter(isCopied).length === 1 ? covers : []))
  return covered.filter(({ name, size }) => alone.some((it) => it.name === name && it.size === size))
}

/**
 * Of a file that is gone a snapshot says that it has no bytes: there is nothing to be missed any more, and whoever brings it back
 * has it read.
 */
const isCopied = ({ size }: { readonly size: number }) => size > 0

/** Whether there is anything to mend. `damaged`: the files that `findDamaged` gives. */
export function needsMending(index: RunIndex, damaged: readonly LoadedFile[]): boolean {
  return damaged.length > 0 || index.gone.length > 0 || findMended(index).length > 0
}

/**
 * Mending: what can be read of a damaged file goes into snapshots that stand for it, and the file is deleted. Only once nothing
 * runs again for want of what cannot be read: until then the file is all that tells that something is missing. One that an
 * intact snapshot stands for is deleted at once.
 * The session's own segments will not grow any more, though its claim is still there.
 *
 * @throws what the store does, and when it reads otherwise than before: then the file stays.
 */
export async function mend(options: SnapshotOptions): Promise<void> {
  const { store, runId, fingerprint, count, writer } = options
  const index = await loadIndex(store, runId, fingerprint, { isKeyed: options.index.isKeyed, isChecked: true, count })
  const claimed = await listWriters(store, runId)
  claimed.delete(writer)
  const ended = findOver(index)
  // An earlier session found no claim of theirs, and there is none now. One may be at work all the same, if somebody deleted its
  // claim: but then all that it writes is on record elsewhere.
  if (isAllSettled(index)) for (const it of options.index.knownEnded) ended.add(it)
  const { files, cut } = findDamaged(index, claimed)
  const loss = findLoss(index, cut)
  const isMadeUpFor = ({ name, report }: LoadedFile) =>
    isAllSettled(index) || (loss.items === 0 && report.damage.length === 0 && !cut.has(name))
  const isClaimed = ({ kind, stem }: RunFile) => kind === 'segment' && claimed.has(writerOf(stem))
  for (const file of files) {
    if (!isMadeUpFor(file) || isClaimed(file)) continue
    await copyWhole({ ...options, index }, file)
    await drop(file)
  }
  const gone = index.gone.filter((name) => cut.has(name))
  if (gone.length > 0 && isAllSettled(index)) await writeOff({ ...options, index }, gone)
  const useless = [...findMended(index), ...(await findStoodFor(store, fingerprint, index.covered))]
  for (const file of useless) if (!isClaimed(file)) await drop(file)

  /**
   * A session of which nothing is known may be at work after all, its claim lost: what it writes to a file deleted here would be
   * gone.
   */
  async function drop({ kind, stem, name, size, key }: RunFile): Promise<void> {
    if (kind === 'segment' && !ended.has(writerOf(stem))) return
    const now = (await listFiles(store, runId)).find((file) => file.name === name)
    if (now?.size === size) await store.delete(key)
  }
}

/** Says that files are gone and need not be told of any more, as nothing runs again for want of them. */
async function writeOff(options: SnapshotOptions, names: readonly string[]): Promise<void> {
  const format = toRunFile(`${options.runId}/${names[0]}`, 0)?.format ?? 'msgpack'
  const covers = names.map((name) => ({ name, size: 0 }))
  await putSnapshot(options, newStem(options), { version: versionOf([], format), format, covers, frames: [] })
}

/** Puts all frames that count into snapshots, the last of which stands for the file: without it the others say nothing new. */
async function copyWhole(options: SnapshotOptions, file: LoadedFile): Promise<void> {
  const { store, fingerprint } = options
  const bad = new Set(file.damagedItems.map(({ block, start }) => `${block}:${start}`))
  const report = newReport()
  let waiting: Located[] = []
  let bytes = 0
  for await (const frames of readFrames(store, file, fingerprint, true, report)) {
    for (const frame of frames) {
      if ((file.kind === 'snapshot' && frame.isOwn) || bad.has(`${frame.block}:${frame.start}`)) continue
      if (!frame.isWhole) throw new Error(`${file.name} has more damage than before`)
      waiting.push(frame)
      bytes += frame.raw.length
    }
    if (bytes < MAX_SNAPSHOT_BYTES) continue
    await put([])
  }
  // Some of what counted as settled may not have been read this time.
  if (report.frames !== file.report.frames) throw new Error(`${file.name} reads otherwise than before`)
  // Those that it stood for and that are gone, nobody else would know of.
  const { files, covered } = options.index
  const isThere = new Set([...files, ...covered].map(({ name }) => name))
  await put([file, ...file.covers.filter(({ name }) => !isThere.has(name)).map(({ name }) => ({ name, size: 0 }))])

  async function put(covers: LoadedFile['covers']): Promise<void> {
    const stem = newStem(options)
    const frames = withOrigins(options, stem, waiting, file)
    const snapshot = await putSnapshot(options, stem, {
      version: versionOf(waiting, file.format),
      format: file.format,
      covers,
      frames,
    })
    if (!snapshot.isIntact) throw new Error(`${snapshot.key} did not read back as it was written`)
    waiting = []
    bytes = 0
  }
}

/** The frames as they are, each behind the name of the segment it was written to. */
function withOrigins(options: SnapshotOptions, stem: string, frames: readonly Located[], { format }: LoadedFile): Uint8Array[] {
  return frames.flatMap((frame, at) => {
    const raw = toWhole(frame, format)
    if (frame.stem === frames[at - 1]?.stem) return [raw]
    return [writeOrigin(options, stem, { stem: frame.stem, format }), raw]
  })
}
