import type { RunFile } from '../format/run-file.ts'
import { inGroups } from '../patience/at-once.ts'
import { type Readable, WINDOW_BYTES } from './file-bytes.ts'

/**
 * `store` for whoever reads `files` in their order: asked for the first bytes of one, it asks for those of its neighbours, too, as
 * far as they are together no more than is read of one file at once. Of those that are not `isWanted` by then it does not.
 */
export function readingAhead(
  store: Readable,
  files: readonly RunFile[],
  isWanted: (file: RunFile) => boolean = () => true,
): Readable {
  const openingOf = ({ size }: RunFile) => Math.min(size, WINDOW_BYTES)
  const groups = new Map<string, readonly RunFile[]>()
  for (const which of ['snapshot', 'segment']) {
    const some = files.filter(({ kind }) => kind === which) // Snapshots apart: what they stand for may not be wanted.
    for (const group of inGroups(some, WINDOW_BYTES, openingOf)) for (const { key } of group) groups.set(key, group)
  }
  const ask = async (file: RunFile) => store.get(file.key, { start: 0, length: openingOf(file) })
  const asked = new Map<string, Promise<Uint8Array | undefined>>()
  return {
    async get(key, range) {
      const group = range?.start === 0 ? groups.get(key) : undefined
      if (group !== undefined) {
        for (const file of group) {
          groups.delete(file.key)
          if (file.key !== key && !isWanted(file)) continue
          asked.set(file.key, ask(file))
        }
        await Promise.allSettled(asked.values()) // No call is left behind when whoever reads fails, or goes away.
      }
      const answer = range?.start === 0 ? asked.get(key) : undefined
      asked.delete(key)
      return answer ?? store.get(key, range)
    },
  }
}
