import { Packr, Unpackr } from 'msgpackr'
import type { Codec } from './contract.ts'
export const msgpackCodec: Codec = {
  format: 'msgpack',
  encode: (values) => ({
    bytes: new Uint8Array(new Packr({ moreTypes: true, structuredClone: true }).pack([...Array.from(values)])),
    refused: [],
  }),
  decode: (bytes) => new Unpackr({ structuredClone: true }).unpack(bytes),
}
