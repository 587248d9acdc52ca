import type { Codec, Encoded, Format, Refusal } from './contract.ts'

/**
 * The codec of `format`, for values that are to be lines of output as well when `areLines`. msgpackr is imported only for
 * `msgpack`.
 */
export async function loadCodec(format: Format, areLines = false): Promise<Codec> {
  if (format === 'msgpack') return (await import('./msgpack.ts')).msgpackCodec
  const { jsonCodec, jsonLineCodec } = await import('./json.ts')
  return areLines ? jsonLineCodec : jsonCodec
}

/** The codecs of all formats, by their names. */
export async function loadCodecs(): Promise<Record<Format, Codec>> {
  return { json: await loadCodec('json'), msgpack: await loadCodec('msgpack') }
}

/** What `codec` makes of the values; undefined where each may have room, and only all together have none. */
export function encodeTogether(codec: Codec, values: ArrayLike<unknown>, describe?: (at: number) => string): Encoded | undefined {
  try {
    return codec.encode(values, describe)
  } catch (error) {
    if (values.length < 2) throw error
    return undefined
  }
}

/** Finds values that a line of output cannot hold. */
export type LineCheck = (values: ArrayLike<unknown>, describe?: (at: number) => string) => readonly Refusal[]

export async function loadLineCheck(): Promise<LineCheck> {
  return (await import('./json.ts')).findUnwritable
}
