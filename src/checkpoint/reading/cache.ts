/** Values kept by their keys, those that were put last, as far as they fit into a number of bytes. */
export interface Cache<K, V> {
  get(key: K): V | undefined
  /** Lets go of the oldest until this one, which is there for `bytes`, fits; one that does not by itself is kept alone. */
  put(key: K, value: V, bytes: number): void
  drop(key: K): void
}

export function createCache<K, V>(maxBytes: number): Cache<K, V> {
  const kept = new Map<K, { readonly value: V; readonly bytes: number }>()
  let keptBytes = 0
  const drop = (key: K) => {
    keptBytes -= kept.get(key)?.bytes ?? 0
    kept.delete(key)
  }
  return {
    get: (key) => kept.get(key)?.value,
    put: (key, value, bytes) => {
      drop(key)
      for (const oldest of kept.keys()) {
        if (keptBytes + bytes <= maxBytes) break
        drop(oldest)
      }
      kept.set(key, { value, bytes })
      keptBytes += bytes
    },
    drop,
  }
}
