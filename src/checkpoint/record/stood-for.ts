import { FileGoneError, type Readable } from '../reading/file-bytes.ts'
import { newReport } from '../reading/file-report.ts'
import { readingAhead } from '../reading/read-ahead.ts'
import { readFrames } from '../reading/read-file.ts'
import { countKept } from './load.ts'
import type { CoveredFile } from './run-index.ts'

/**
 * Those of `covered`, files that an intact snapshot stands for, that are damaged, or lack what was copied of them. What they held
 * is on record in it.
 */
export async function findStoodFor(
  store: Readable,
  fingerprint: string,
  covered: readonly CoveredFile[],
): Promise<CoveredFile[]> {
  const damaged: CoveredFile[] = []
  const ahead = readingAhead(store, covered)
  for (const file of covered) {
    const report = newReport()
    const kept = new Map<string, number>()
    let isWhole = file.size >= file.copiedBytes
    try {
      for await (const frames of readFrames(ahead, file, fingerprint, true, report)) {
        for (const frame of frames) {
          isWhole &&= frame.isWhole
          countKept(kept, frame)
        }
      }
    } catch (error) {
      if (!(error instanceof FileGoneError)) throw error
      continue // Somebody deleted it: it was not needed any more.
    }
    const lacksFrames = (kept.get(file.stem) ?? 0) < file.copiedFrames
    if (!isWhole || lacksFrames || report.damage.length > 0) damaged.push(file)
  }
  return damaged
}
