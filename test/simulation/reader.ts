import { readResultBatches } from '../../src/checkpoint/stored/runs.ts'
import type { Store } from '../../src/store/store.ts'
import { idFrom } from './items.ts'

/** The items that a reader finds to have succeeded. */
export async function readFulfilled(store: Store, runId: string, isKeyed: boolean): Promise<Set<number>> {
  const read = new Set<number>()
  for await (const outcomes of readResultBatches(store, runId))
    for (const { index, key, status } of outcomes) if (status === 'fulfilled') read.add(isKeyed ? idFrom(key) : index)
  return read
}

/** The keys that a reader finds, by index. */
export async function readKeys(store: Store, runId: string): Promise<string[]> {
  const keys: string[] = []
  for await (const outcomes of readResultBatches(store, runId)) {
    for (const { index, key } of outcomes) {
      if (index !== keys.length) throw new Error(`item ${index} is read behind ${keys.length} others`)
      keys.push(key)
    }
  }
  return keys
}
