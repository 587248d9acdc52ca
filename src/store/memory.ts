import { StoreConflictError } from '../errors.ts'
import { checkKey, checkSize, cutRange } from './check.ts'
import { logTo } from './log.ts'
import type { Store } from './store.ts'

/** An object in parts, so that a log grows without copying what it holds. */
interface StoredParts {
  parts: Uint8Array[]
  size: number
}

/** Keeps objects in this process, for as long as the store is referenced: for tests and for runs that need not outlive it. */
export function memoryStore(): Store {
  const objects = new Map<string, StoredParts>()

  function add(key: string, object: StoredParts, replace = false): void {
    if (objects.has(key) && !replace) throw new StoreConflictError(key)
    objects.set(key, object)
  }

  return {
    get: async (key, range) => {
      checkKey(key)
      const object = objects.get(key)
      if (!object) return undefined
      const { start, length } = cutRange(object.size, range)
      return new Uint8Array(join(object).subarray(start, start + length))
    },

    put: async (key, bytes, { replace = false } = {}) => {
      checkKey(key)
      checkSize(bytes.byteLength)
      add(key, { parts: [new Uint8Array(bytes)], size: bytes.byteLength }, replace)
    },

    append: async (key) => {
      checkKey(key)
      const object: StoredParts = { parts: [], size: 0 }
      add(key, object)
      return logTo({
        writeAt: async (bytes) => {
          object.parts.push(new Uint8Array(bytes))
          object.size += bytes.byteLength
        },
        sync: async () => {},
        close: async () => {},
      })
    },

    list: async (prefix) =>
      [...objects.keys()]
        .filter((key) => key.startsWith(prefix))
        .sort()
        .map((key) => ({ key, size: objects.get(key)?.size ?? 0 })),

    delete: async (key) => {
      checkKey(key)
      objects.delete(key)
    },
  }
}

/** All bytes of `object`, which from then on has one part. */
function join(object: StoredParts): Uint8Array {
  const [only] = object.parts
  if (only && object.parts.length === 1) return only
  const whole = Buffer.concat(object.parts)
  object.parts = [whole]
  return whole
}
