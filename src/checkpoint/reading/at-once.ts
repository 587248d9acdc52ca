import type { RunFile } from '../format/run-file.ts'
import { type Readable, WINDOW_BYTES } from './file-bytes.ts'

/**
 * Calls of a store that are made at once: one at a time, those for a long run on a store far away take minutes. Higher, and such
 * stores ask for fewer.
 */
export const AT_ONCE = 16

/** `all` in groups, in their order: of at most AT_ONCE, which are together no larger than `most`, or of one. */
export function* inGroups<V>(all: readonly V[], most: number, sizeOf: (one: V) => number): Generator<readonly V[]> {
  let group: V[] = []
  let sum = 0
  for (const one of all) {
    const size = sizeOf(one)
    if (group.length === AT_ONCE || (group.length > 0 && sum + size > most)) {
      yield group
      group = []
      sum = 0
    }
    group.push(one)
    sum += size
  }
  if (group.length > 0) yield group
}

/** What `calls` resolve with, or the first of their errors: once all have ended, so that none is left behind. */
export async function endAll<V>(calls: readonly Promise<V>[]): Promise<V[]> {
  await Promise.allSettled(calls)
  return Promise.all(calls)
}

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
