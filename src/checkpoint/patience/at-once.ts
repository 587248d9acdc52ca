/**
 * Calls of a store that are made at once: one at a time, those for a long run on a store far away take minutes. Higher, and such
 * stores ask for fewer.
 */
export const AT_ONCE = 16

/** `all` in groups, in their order: of at most AT_ONCE, which are together no larger than `most`, or of one. */
export function* inGroups<V>(
  all: readonly V[],
  most = Number.POSITIVE_INFINITY,
  sizeOf: (one: V) => number = () => 0,
): Generator<readonly V[]> {
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

/** What `call` resolves with for each of `all`, in their order. Of these calls AT_ONCE are made at a time. */
export async function askForEach<V, R>(all: readonly V[], call: (one: V) => Promise<R>): Promise<R[]> {
  const answers: R[] = []
  for (const group of inGroups(all)) answers.push(...(await endAll(group.map(async (one) => call(one)))))
  return answers
}
