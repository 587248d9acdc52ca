/**
 * JSON against binary, on one's own data.
 *
 * Run it:  node examples/formats.mjs
 *
 * The same run is recorded once in each form, and `stats.bytesWritten` says what that took. Put your own task and items
 * here; `pawl bench formats --input results.jsonl` measures the time to save and load as well.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { execute } from 'pawl'

const directory = await mkdtemp(join(tmpdir(), 'pawl-'))
const ids = Array.from({ length: 5000 }, (_, i) => i)

async function record(/** @type {'json' | 'msgpack'} */ format, /** @type {'none' | 'gzip'} */ compress) {
  const checkpoint = { store: join(directory, format + compress), format, compress }
  const { stats } = await execute((id) => ({ id, name: `the sensor ${id}`, mean: id / 7, isOn: id % 3 === 0 }), ids, {
    checkpoint,
  })
  return stats.bytesWritten
}

const json = await record('json', 'none')
const share = (/** @type {number} */ bytes) => `about ${Math.round((10 * bytes) / json) * 10} % of the bytes`

console.log(`json            ${share(json)}`)
console.log(`json, gzip      ${share(await record('json', 'gzip'))}`)
console.log(`msgpack         ${share(await record('msgpack', 'none'))}`)
console.log(`msgpack, gzip   ${share(await record('msgpack', 'gzip'))}`)

await rm(directory, { recursive: true })

// Output:
// json            about 100 % of the bytes
// json, gzip      about 10 % of the bytes
// msgpack         about 40 % of the bytes
// msgpack, gzip   about 10 % of the bytes
