import type { Hash } from 'node:crypto'

/**
 * A SHA-256 to be updated. Node's crypto is taken when the first is asked for: it takes 2.5 ms to load, and a run of a module
 * without a checkpoint needs none (bench/peers, 'small-cold': CPU of the main thread).
 */
export function createSha256(): Hash {
  return process.getBuiltinModule('node:crypto').createHash('sha256')
}
