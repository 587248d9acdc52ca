import type { Codec } from '../values/contract.ts'

const { getOwnPropertyNames } = Object
const everything = Object.prototype
const arrays = Array.prototype

/**
 * What of this thread is no more as it was before any task ran in it, as far as that would not show in an answer, or would keep
 * one from being given; undefined when it looks sound. A few microseconds at most. What a program may well have changed, say
 * for a better one, counts only for what it does.
 */
export function findSpoiled(codec: Codec | undefined): string | undefined {
  if ('then' in everything) return 'word that all objects in it have a then'
  if (!codec) return undefined
  if (hasElement(arrays) || hasElement(everything)) return 'word that all arrays in it have an element'
  return codec.isSound() ? undefined : `word that it cannot write ${codec.format} any more`
}

/** Names that are places come first. */
function hasElement(prototype: object): boolean {
  const first = (getOwnPropertyNames(prototype)[0] as string).charCodeAt(0)
  return first >= 0x30 && first <= 0x39
}
