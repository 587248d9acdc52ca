import { gunzipSync, gzipSync } from 'node:zlib'
import { plural } from '../errors.ts'
import type { Json } from '../types.ts'
import { encodeTogether, loadCodecs } from '../values/codec.ts'
import type { Codec } from '../values/contract.ts'
import { UsageError } from './failure.ts'
import { readInput } from './input.ts'
import { formatBytes, print, printJson, table } from './terminal.ts'

/** Values encoded at once: as many as a flush holds by default. */
const COLUMN = 1000

/** Rounds that are measured, in turns over all formats so that a slow moment hits all alike; the median counts. */
const ROUNDS = 7

/** No further round is begun after so many milliseconds. */
const BUDGET = 10_000

/** How one format did on the values. Times in milliseconds. */
interface Measurement {
  readonly format: string
  readonly compress: 'none' | 'gzip'
  readonly save: number
  readonly load: number
  readonly bytes: number
}

interface Candidate {
  readonly format: 'json' | 'msgpack'
  readonly compress: 'none' | 'gzip'
  readonly codec: Codec
  readonly saves: number[]
  readonly loads: number[]
  bytes: number
}

/** `pawl bench formats --input FILE`. */
export async function benchFormats(flags: { readonly input: string; readonly json?: true }): Promise<number> {
  const { values, are } = await readValues(flags.input)
  const candidates = await listCandidates()
  const begin = performance.now()
  let rounds = 0
  // The first round warms up and is not counted.
  for (let round = -1; round < ROUNDS && (round < 1 || performance.now() - begin < BUDGET); round++) {
    for (const candidate of candidates) measure(candidate, values, round >= 0)
    rounds = round + 1
  }
  const formats = candidates.map(summarize)
  if (flags.json) await printJson({ values: values.length, are, rounds, formats })
  else await printTable(formats, `${plural(values.length, 'value')} (${are})`, rounds)
  return 0
}

/**
 * The items of the input; of the output of a run, `{"index","value"}` on each line, the values, if there are any. `are`: which of
 * both, for people.
 */
async function readValues(path: string): Promise<{ readonly values: readonly Json[]; readonly are: string }> {
  const { items, placeOf } = await readInput(path)
  const values: Json[] = []
  for await (const item of items) values.push(item)
  if (values.length === 0) throw new UsageError(`Cannot measure ${path}: expected at least one value, got none`)
  const other = values.findIndex((it) => !isResult(it))
  // Hardly meant: the output of a run with something else in it.
  if (other > 0) return { values, are: `the items as they are, as ${placeOf(other)} is no {"index","value"}` }
  if (other === 0) return { values, are: 'the items as they are' }
  const results = values as readonly { readonly value?: Json }[]
  const empty = results.filter((it) => !('value' in it)).length
  if (empty === values.length) return { values, are: "the items as they are, as none has a 'value'" }
  const nulls = empty === 0 ? '' : `, null for ${plural(empty, 'line')} without it`
  return { values: results.map(({ value = null }) => value), are: `what stands under 'value'${nulls}` }
}

function isResult(value: Json): boolean {
  if (typeof value !== 'object' || value === null || !('index' in value)) return false
  const others = Object.keys(value).filter((name) => name !== 'index' && name !== 'value')
  return Number.isInteger(value.index) && others.length === 0
}

async function listCandidates(): Promise<Candidate[]> {
  const codecs = await loadCodecs()
  return (['none', 'gzip'] as const).flatMap((compress) =>
    (['json', 'msgpack'] as const).map((format) => ({ format, compress, codec: codecs[format], saves: [], loads: [], bytes: 0 })),
  )
}

function measure(candidate: Candidate, values: readonly Json[], isCounted: boolean): void {
  const { codec, compress } = candidate
  const start = performance.now()
  const saved: Uint8Array[] = []
  for (let at = 0; at < values.length; at += COLUMN) {
    for (const bytes of encodeColumns(codec, values.slice(at, at + COLUMN)))
      saved.push(compress === 'gzip' ? gzipSync(bytes) : bytes)
  }
  const middle = performance.now()
  for (const bytes of saved) codec.decode(compress === 'gzip' ? gunzipSync(bytes) : bytes)
  const end = performance.now()
  candidate.bytes = saved.reduce((sum, bytes) => sum + bytes.length, 0)
  if (!isCounted) return
  candidate.saves.push(middle - start)
  candidate.loads.push(end - middle)
}

/** In as many columns as it takes. */
function encodeColumns(codec: Codec, values: readonly Json[]): Uint8Array[] {
  const encoded = encodeTogether(codec, values)
  if (encoded) return [encoded.bytes]
  const middle = values.length >> 1
  return [values.slice(0, middle), values.slice(middle)].flatMap((part) => encodeColumns(codec, part))
}

function summarize({ format, compress, saves, loads, bytes }: Candidate): Measurement {
  return { format, compress, save: median(saves), load: median(loads), bytes }
}

function median(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

async function printTable(formats: readonly Measurement[], values: string, rounds: number): Promise<void> {
  const plain = formats[0] as Measurement
  const share = (part: number, whole: number) => `${((100 * part) / whole).toFixed(0)} %`
  const rows = formats.map(({ format, compress, save, load, bytes }) => [
    compress === 'gzip' ? `${format} + gzip` : format,
    `${save.toFixed(2)} ms`,
    `${load.toFixed(2)} ms`,
    formatBytes(bytes),
    share(bytes, plain.bytes),
  ])
  await print(await table(['format', 'save', 'load', 'bytes', 'of JSON'], rows))
  await print(`${values}, median of ${plural(rounds, 'round')}; the disk is not part of it\n`)
}
