/** 53 bits of hash, for recognizing a key without keeping it. */
export function hashKey(key: string): number {
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let at = 0; at < key.length; at++) {
    const unit = key.charCodeAt(at)
    high = Math.imul(high ^ unit, 2654435761)
    low = Math.imul(low ^ unit, 1597334677)
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
  return 4294967296 * (2097151 & low) + (high >>> 0)
}

/** An item as notes of what was begun, or tried, name it: by its index, in keyed runs by the hash of its key. */
export function notedId(isKeyed: boolean, index: number, key: string | undefined): number {
  return isKeyed ? hashKey(key ?? '') : index
}
