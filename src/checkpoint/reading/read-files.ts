import type { RunFile } from '../format/run-file.ts'
import type { Readable } from './file-bytes.ts'
import { newReport } from './file-report.ts'
import { readingAhead } from './read-ahead.ts'
import { type Located, readFrames } from './read-file.ts'

/** Some frames of a file. */
export interface FileFrames {
  readonly file: RunFile
  readonly frames: readonly Located[]
  /** As `readFrames` has it. */
  readonly isChecked: boolean
}

/**
 * The frames of `files`, one file after the other, for whoever does not ask what of them is damaged. `isChecked` is asked as each
 * file begins.
 *
 * @throws as `readFrames` does.
 */
export async function* readFiles(
  store: Readable,
  files: readonly RunFile[],
  fingerprint: string,
  isChecked: () => boolean = () => true,
): AsyncGenerator<FileFrames> {
  const ahead = readingAhead(store, files)
  for (const file of files) {
    const areBodiesRead = isChecked()
    for await (const frames of readFrames(ahead, file, fingerprint, areBodiesRead, newReport()))
      yield { file, frames, isChecked: areBodiesRead }
  }
}
