import { codeOf, DENIED } from './errno.ts'
import type { Store, StoredObject } from './store.ts'

/** What the system says of files and folders that are another user's, and Node of those that it was not told to allow. */
const REFUSED = new Set(['EACCES', 'EPERM', DENIED])

/** Whether it is only that this user may not read. */
export function isRefused(error: unknown): boolean {
  return REFUSED.has(codeOf(error))
}

/** What can be listed of a store beside what may not be read. */
export interface Listing {
  /** Less all below the names in `refused`. */
  readonly objects: readonly StoredObject[]
  /** First segments of keys, and what the system says of something below. */
  readonly refused: ReadonlyMap<string, unknown>
}

const listings = new WeakMap<object, Listing>()

/** The error of a list that cannot be complete: of the first of `refused`, keys in which something may not be read. */
export function partly(objects: readonly StoredObject[], refused: ReadonlyMap<string, unknown>): unknown {
  const names = new Map([...refused].map(([key, error]) => [rootOf(key), error]))
  const [error] = refused.values()
  // Where all of the store may not be read, nothing is known beside that.
  if (!names.has(''))
    listings.set(error as object, { objects: objects.filter(({ key }) => !names.has(rootOf(key))), refused: names })
  return error
}

const rootOf = (key: string) => key.split('/', 1)[0] as string

/** All of a store, but for what this user may not read; whoever needs every key asks `list`, which rejects then. */
export async function listReadable(store: Pick<Store, 'list'>): Promise<Listing> {
  try {
    return { objects: await store.list(''), refused: new Map() }
  } catch (error) {
    const listing = listings.get(Object(error))
    if (listing === undefined) throw error
    return listing
  }
}
