import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { execute } from 'pawl'
import { describe, expect, test } from 'vitest'
import { binaryLayout } from '../../src/checkpoint/format/format.ts'
import { jsonLayout } from '../../src/checkpoint/format/format-json.ts'
import { type Head, seedOf } from '../../src/checkpoint/format/frame.ts'
import { noted } from '../fixtures/tasks/noted.mjs'
import { interrupt, newPlace, range } from '../resume/place.ts'

const ITEMS = range(40)
const DOUBLED = ITEMS.map((n) => n * 2)
const RUN = 'run-1'

/** More than a resume of 40 items can ever need, with all of Node, in MB: a hostile count asks for gigabytes. */
const MAX_RSS_MB = 400

describe('loading a checkpoint runs no code', () => {
  test.each(['msgpack', 'json'] as const)('whatever the names of members are: %s', (format) => {
    const { directory, runs } = newPlace()
    const program = join(directory, 'program.mjs')
    writeFileSync(program, HOSTILE_NAMES)
    const run = (...flags: string[]) =>
      spawnSync(process.execPath, [...flags, program, PAWL, runs, format], { cwd: directory, encoding: 'utf8' })
    expect(run()).toMatchObject({ status: 0, stdout: 'dispatched 20 restored 0 true\n' })
    expect(run('--disallow-code-generation-from-strings')).toMatchObject({ status: 0, stdout: 'dispatched 0 restored 20 true\n' })
    expect(run()).toMatchObject({ status: 0, stdout: 'dispatched 0 restored 20 true\n' })
  })
})

describe('and trusts no length, count, name or path found in it', () => {
  const hostile: [string, Head, Uint8Array[]][] = [
    ['outcomes of four billion items', { kind: 'outcomes', runs: [0, 2 ** 32 - 2], columns: [2 ** 32 - 2, 4] }, [bytes(4)]],
    ['outcomes beyond the items there are', { kind: 'outcomes', runs: [1_000_000, 4], columns: [4, 6] }, [numbers(4)]],
    ['more values than items', { kind: 'outcomes', runs: [0, 2], columns: [4, 6] }, [numbers(4)]],
    ['a column longer than the body', { kind: 'outcomes', runs: [0, 4], columns: [4, 2 ** 40] }, [numbers(4)]],
    ['values that are no values', { kind: 'outcomes', runs: [0, 4], columns: [4, 64] }, [bytes(64)]],
    ['fewer values than it says', { kind: 'outcomes', runs: [0, 4], columns: [4, 5] }, [numbers(3)]],
    ['half of all numbers running', { kind: 'running', runs: [0, 2 ** 31] }, []],
    [
      'a failure of a kind there is not',
      { kind: 'failure', index: 39, failure: '__proto__' as 'error', attempts: 1, crashes: 0, firstFailedAt: 0, lastFailedAt: 0 },
      [numbers(1)],
    ],
    [
      'a failure without a reason',
      { kind: 'failure', index: 39, failure: 'error', attempts: 1, crashes: 0, firstFailedAt: 0, lastFailedAt: 0 },
      [numbers(1)],
    ],
    [
      'a failure that failed 2^53 times',
      {
        kind: 'failure',
        index: 39,
        failure: 'error',
        attempts: 2 ** 53 - 1,
        crashes: 2 ** 53 - 1,
        firstFailedAt: -1,
        lastFailedAt: 9e15,
      },
      [numbers(1)],
    ],
    ['a source of as many items as can be', { kind: 'total', count: 2 ** 53 - 1 }, []],
    ['a block far away', { kind: 'source', block: 2 ** 53 - 1, count: 2 ** 53 - 1, digest: '__proto__' }, []],
    [
      'names of other directories',
      {
        kind: 'covers',
        files: [
          { name: '../../../other/seg/x', size: 2 ** 53 - 1 },
          { name: '/etc/passwd', size: 1 },
          { name: '__proto__', size: 0 },
        ],
      },
      [],
    ],
    ['an origin that is a path', { kind: 'origin', stem: '../../../etc/passwd' }, []],
    ['a list of items, in a run without keys', { kind: 'items', list: 'l', from: 0, count: 1, keys: ['__proto__'] }, []],
    [
      'a list of more items than can be',
      { kind: 'items', list: 'l', base: '../..', from: 2 ** 32, count: 2 ** 53 - 1, keys: ['constructor'] },
      [],
    ],
    ['the dead by hostile names', { kind: 'died', writers: ['../..', '__proto__', 'constructor', ''] }, []],
  ]
  const forms = [binaryLayout, jsonLayout].flatMap((layout) => (['seg', 'snap'] as const).map((folder) => ({ layout, folder })))

  test.each(forms)('in frames whose checksums hold: $layout.format in $folder/', async ({ layout, folder }) => {
    const { runs } = newPlace()
    await interrupt(noted, ITEMS, { checkpoint: { store: runs, format: layout.format }, runId: RUN })
    const fingerprint = fingerprintIn(runs)
    for (const [name, head, body] of hostile) {
      const copy = mkdtempSync(`${runs}-`)
      cpSync(runs, copy, { recursive: true })
      const stem = folder === 'seg' ? '0zzzzzzzzabcdef012345-0' : '0zzzzzzzzabcdef012345'
      const seed = seedOf(stem, fingerprint)
      const header = layout.writeHeader({
        version: 1,
        kind: folder === 'seg' ? 'segment' : 'snapshot',
        fingerprint,
        createdAt: 1,
      })
      const close: Head = { kind: 'close', at: 1 }
      const file = Buffer.concat([header, ...layout.writeFrame(head, body, seed), ...layout.writeFrame(close, [], seed)])
      mkdirSync(join(copy, RUN, folder), { recursive: true })
      writeFileSync(join(copy, RUN, folder, `${stem}.${layout.format}`), file)
      await expectRightOrRefused(copy, name)
    }
  })

  test('in files that grow when they are unpacked, and in lengths that are not there', () => {
    const { runs } = newPlace()
    const bomb = gzipSync(Buffer.alloc(2 ** 29))
    const wide = Buffer.from('504600000000000000ffffff7fffffff7fffffffffffffffff', 'hex')
    for (const folder of ['run', 'seg', 'snap', 'lease']) {
      mkdirSync(join(runs, RUN, folder), { recursive: true })
      for (const form of ['json', 'msgpack', 'json.gz', 'msgpack.gz']) {
        writeFileSync(join(runs, RUN, folder, `0zzzzzzzzabcdef012345-0.${form}`), form.endsWith('gz') ? bomb : wide)
      }
    }
    const program = `
      const { execute } = await import(${JSON.stringify(PAWL)})
      let code = 'complete'
      const options = { checkpoint: ${JSON.stringify(runs)}, runId: '${RUN}', workers: 1, on: { warning: () => {} } }
      await execute((n) => n * 2, [1, 2], options).catch((error) => { code = error.code })
      console.log(code, Math.round(process.resourceUsage().maxRSS / 1024))`
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' })
    expect(stderr).toBe('')
    const [code, maxRss] = stdout.split(' ')
    expect(code === 'complete' || code?.startsWith('ERR_PAWL_CHECKPOINT_')).toBe(true)
    expect(Number(maxRss)).toBeLessThan(MAX_RSS_MB)
  })

  test('in any bytes in any of its files', { timeout: 300_000 }, async () => {
    const { runs, directory } = newPlace()
    await interrupt(noted, ITEMS, { checkpoint: runs, runId: RUN })
    await interrupt(noted, ITEMS, { checkpoint: { store: runs, format: 'json' }, runId: RUN }, 5)
    const planted = fc.record({
      folder: fc.constantFrom('run', 'seg', 'snap', 'lease'),
      name: fc.oneof(
        fc.stringMatching(/^[\w-]{1,20}(-\d)?\.(json|msgpack)(\.gz)?$/),
        fc.stringMatching(/^[\w-][\w.-]{0,30}$/),
        fc.constantFrom('__proto__', 'constructor.json', 'a b', 'ü.json', 'x\ny-0.json'),
      ),
      content: fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.json().map(Buffer.from),
        fc.constantFrom('PAWL\x01\0\0\0', '{"crc":"00000000"', 'PF', '\x1f\x8b').map(Buffer.from),
      ),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(planted, { minLength: 1, maxLength: 4 }), async (files) => {
        const copy = mkdtempSync(join(directory, 'fuzzed-'))
        cpSync(runs, copy, { recursive: true })
        for (const { folder, name, content } of files) {
          mkdirSync(join(copy, RUN, folder), { recursive: true })
          writeFileSync(join(copy, RUN, folder, name), content)
        }
        await expectRightOrRefused(copy, JSON.stringify(files))
      }),
      { numRuns: process.env.PAWL_SOAK ? 1000 : 60 },
    )
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  test.each(['../x', '/etc', 'a/b', '.', '..', '', 'a\0b', 'x'.repeat(129), '.hidden'])(
    'in a run id: %j is refused',
    async (runId) => {
      const { runs, directory } = newPlace()
      await expect(execute(noted, ITEMS, { checkpoint: runs, runId })).rejects.toMatchObject({
        code: 'ERR_PAWL_INVALID_OPTION',
        option: 'runId',
      })
      expect(readdirSync(directory)).toEqual(['starts'])
    },
  )
})

/** The run ends with right results, or is refused with an error of ours and nothing run wrong. */
async function expectRightOrRefused(runs: string, what: string): Promise<void> {
  const options = { checkpoint: runs, runId: RUN, workers: 1, maxFailures: 1, on: { warning: () => {} } }
  try {
    const kept = await execute(noted, ITEMS, { ...options, retryFailed: false })
    const failed = kept.failures.map(({ index }) => index)
    expect(Array.from(kept.results), what).toEqual(DOUBLED.map((n, at) => (failed.includes(at) ? undefined : n)))
    const { results, failures } = await execute(noted, ITEMS, options)
    expect(failures, what).toEqual([])
    expect(results, what).toEqual(DOUBLED)
  } catch (error) {
    const { code } = error as { code?: string }
    if (!code?.startsWith('ERR_PAWL_CHECKPOINT_')) throw new Error(`${what}: ${error}`, { cause: error })
  }
}

function fingerprintIn(runs: string): string {
  const [name = ''] = readdirSync(join(runs, RUN, 'run'))
  return JSON.parse(readFileSync(join(runs, RUN, 'run', name), 'utf8')).fingerprint
}

function bytes(count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, at) => (at * 37 + 200) % 256)
}

/** A column of numbers, as the codec of msgpack writes it. */
function numbers(count: number): Uint8Array {
  return Uint8Array.from([0x6e, 0x62, ...range(count)])
}

const PAWL = new URL('../../dist/index.js', import.meta.url).href

const HOSTILE_NAMES = `
  const [pawl, store, format] = process.argv.slice(2)
  const { execute } = await import(pawl)
  const NAMES = ['__proto__', 'constructor', 'toString', 'a"];globalThis.pwned=1;["', "'", '\\u2028', '\\u2029', '\`\${globalThis.pwned=1}\`',
    '}});globalThis.pwned=1;({', '*/globalThis.pwned=1/*', '\\n', '\\0', '', '0', '-1', 'length', 'then', 'toJSON', '\\ud800', 'x'.repeat(1000)]
  const task = (name) => {
    const value = Object.create(null)
    for (const key of [name, 'b' + name]) Object.defineProperty(value, key, { value: 1, enumerable: true, writable: true, configurable: true })
    return [Object.assign(Object.create(null), value)].map((it) => Object.fromEntries(Object.entries(it)))[0]
  }
  const { results, stats } = await execute(task, NAMES, { checkpoint: { store, format }, runId: 'r' })
  const isRight = NAMES.every((name, i) => Object.hasOwn(results[i], name) && results[i][name] === 1 && results[i]['b' + name] === 1)
  const isClean = globalThis.pwned === undefined && Object.keys(Object.prototype).length === 0 && ({}).polluted === undefined
  console.log('dispatched', stats.dispatched, 'restored', stats.restored, isRight && isClean)`
