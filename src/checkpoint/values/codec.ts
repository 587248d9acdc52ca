import type { Codec, Format } from './contract.ts'

export type { Codec, Format } from './contract.ts'

/** The codec of `format`. msgpackr is imported only for `msgpack`. */
export async function loadCodec(format: Format): Promise<Codec> {
  return format === 'json' ? (await import('./json.ts')).jsonCodec : (await import('./msgpack.ts')).msgpackCodec
}
