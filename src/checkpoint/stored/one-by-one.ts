/**
 * What is in `batches`, one by one, as a generator that yields each would give it. Written by hand: such a generator
 * takes three turns of the microtasks and as many promises for each value, and as many more for each generator around it.
 */
export function oneByOne<V>(batches: AsyncGenerator<readonly V[], void, void>): AsyncGenerator<V, void, void> {
  let batch: readonly V[] = []
  let place = 0
  let waiting = 0
  let last: Promise<unknown> = Promise.resolve()

  /** As of a generator, calls are answered in their order, also when nobody waits for the one before. */
  const inTurn = (step: () => Promise<IteratorResult<V, void>>): Promise<IteratorResult<V, void>> => {
    waiting++
    const answer = last.then(step).finally(() => waiting--)
    last = answer.catch(() => {})
    return answer
  }
  const advance = async (): Promise<IteratorResult<V, void>> => {
    while (place === batch.length) {
      const next = await batches.next()
      if (next.done) return next
      batch = next.value
      place = 0
    }
    return { value: batch[place++] as V, done: false }
  }
  /** Nothing more is given: the rest of the batch is not wanted. */
  const end = (how: () => Promise<IteratorResult<unknown, void>>) =>
    inTurn(async () => {
      batch = []
      place = 0
      return { value: (await how()).value as undefined, done: true }
    })
  const close = () => end(() => batches.return())
  return {
    next: () =>
      waiting === 0 && place < batch.length ? Promise.resolve({ value: batch[place++] as V, done: false }) : inTurn(advance),
    return: close,
    throw: (error) => end(() => batches.throw(error)),
    [Symbol.asyncIterator]() {
      return this
    },
    [Symbol.asyncDispose]: async () => {
      await close()
    },
  }
}
