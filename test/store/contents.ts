import type { Store } from '../../src/store/store.ts'

export function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

export async function bytesAt(store: Store, key: string): Promise<Uint8Array> {
  const bytes = await store.get(key)
  if (!bytes) throw new Error(`nothing at ${key}`)
  return bytes
}

export async function textAt(store: Store, key: string): Promise<string> {
  return new TextDecoder().decode(await bytesAt(store, key))
}
