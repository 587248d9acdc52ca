import type { Codec, Format, Refusal } from './contract.ts'

export type { Codec, Format } from './contract.ts'

/** The codec of `format`. msgpackr is imported only for `msgpack`. */
export async function loadCodec(format: Format): Promise<Codec> {
  return format === 'json' ? (await import('./json.ts')).jsonCodec : (await import('./msgpack.ts')).msgpackCodec
}

/** Finds values that a line of output cannot hold. */
export type LineCheck = (values: ArrayLike<unknown>, describe?: (at: number) => string) => readonly Refusal[]

export async function loadLineCheck(): Promise<LineCheck> {
  return (await import('./json.ts')).findUnwritable
}
