import { cpSync, mkdtempSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  type CheckpointOptions,
  type ExecuteOptions,
  execute,
  listRuns,
  memoryStore,
  type Outcome,
  type SerializationError,
  type Store,
} from 'pawl'
import { describe, expect, test } from 'vitest'
import { described, noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, interrupt, listenForWarnings, newPlace, range } from '../resume/place.ts'

const ITEMS = range(60)
const RECORDS = ITEMS.map((n) => ({ id: n, name: `user ${n}`, score: n / 8, isActive: n % 3 === 0 }))
const BASE: ExecuteOptions<number> = { runId: 'run', workers: 1, chunkSize: 4 }

const FORMS = (['msgpack', 'json'] as const).flatMap((format) =>
  (['none', 'gzip'] as const).map((compress) => ({ format, compress })),
)

/** What a file says, less the spaces between the words of a manifest. */
function meaningOf(file: string): string {
  const text = readFileSync(file, 'latin1')
  try {
    return file.includes('/run/run/') ? JSON.stringify(JSON.parse(text)) : text
  } catch {
    return text
  }
}

describe('a damaged part is reported and its items run again', () => {
  // Of two segments and a manifest, one is left that says what the run is.
  test.each(FORMS)('whatever byte of whatever file is changed: $format, $compress', { timeout: 600_000 }, async (form) => {
    const { runs, directory } = newPlace()
    const checkpoint: CheckpointOptions = { store: runs, ...form, every: 5, durability: 'none' }
    await interrupt(described, ITEMS, { ...BASE, checkpoint })
    await execute(described, ITEMS, { ...BASE, checkpoint })
    const files = readdirSync(runs, { recursive: true, encoding: 'utf8' }).filter((name) => statSync(join(runs, name)).isFile())
    expect(files.some((name) => name.includes('seg'))).toBe(true)
    const flip = fc.record({
      file: fc.constantFrom(...files),
      at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      bits: fc.integer({ min: 1, max: 255 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(flip, { minLength: 1, maxLength: 2 }), async (flips) => {
        const copy = mkdtempSync(join(directory, 'flipped-'))
        cpSync(runs, copy, { recursive: true })
        for (const { file, at, bits } of flips) {
          const bytes = readFileSync(join(copy, file))
          const place = Math.floor(at * bytes.length)
          bytes[place] = (bytes[place] as number) ^ bits
          writeFileSync(join(copy, file), bytes)
        }
        const isChanged = flips.some(({ file }) => meaningOf(join(copy, file)) !== meaningOf(join(runs, file)))
        const { on, codes } = listenForWarnings()
        const { results, stats, status } = await execute(described, ITEMS, {
          ...BASE,
          checkpoint: { store: copy, durability: 'none' },
          on,
        })
        expect(status).toBe('complete')
        expect(results).toEqual(RECORDS)
        if (stats.dispatched > 0) expect(codes()).toContain('CHECKPOINT_DAMAGED')
        // Gzip has bits that mean nothing, a manifest has spaces. Every other bit of a plain file is under a checksum.
        if (isChanged && form.compress === 'none') expect(codes()).toContain('CHECKPOINT_DAMAGED')
        // What was repaired stays so.
        const again = await execute(described, ITEMS, {
          ...BASE,
          checkpoint: { store: copy, durability: 'none' },
          on: { warning: () => {} },
        })
        expect(again.stats.dispatched).toBe(0)
        expect(again.results).toEqual(RECORDS)
      }),
      { numRuns: process.env.PAWL_SOAK ? 400 : 30 },
    )
  })

  test('stats.damaged counts the items that run again for it', async () => {
    const { runs, starts } = newPlace()
    const checkpoint: CheckpointOptions = { store: runs, format: 'json', every: 1 }
    await execute(noted, ITEMS, { ...BASE, checkpoint })
    const seg = join(runs, 'run', 'seg')
    const [name = ''] = readdirSync(seg)
    const lines = readFileSync(join(seg, name), 'utf8').split('\n')
    const at = lines.findIndex((line) => line.includes('"values"'))
    const values = /"values":\[(-?\d+)/.exec(lines[at] as string)
    if (!values) throw new Error('no values found')
    lines[at] = (lines[at] as string).replace('"values":[', '"values":[9')
    writeFileSync(join(seg, name), lines.join('\n'))
    const { on, codes, warnings } = listenForWarnings()
    const { stats, results } = await execute(noted, ITEMS, { ...BASE, checkpoint, on })
    expect(results).toEqual(ITEMS.map((n) => n * 2))
    expect(stats.damaged).toBeGreaterThan(0)
    expect(stats.dispatched).toBe(stats.damaged)
    expect(starts()).toHaveLength(60 + stats.damaged)
    expect(codes()).toEqual(['CHECKPOINT_DAMAGED'])
    expect(warnings[0]?.message).toContain(`${stats.damaged} items`)
  })

  test.each(['msgpack', 'json'] as const)(
    'wherever a file of a finished run is cut off: %s',
    { timeout: 300_000 },
    async (format) => {
      const { runs, directory } = newPlace()
      const checkpoint: CheckpointOptions = { store: runs, format, every: 5, durability: 'none' }
      await execute(described, ITEMS, { ...BASE, checkpoint })
      const [name = ''] = readdirSync(join(runs, 'run', 'seg'))
      const { size } = statSync(join(runs, 'run', 'seg', name))
      for (let left = 0; left < size; left += Math.ceil(size / 40)) {
        const copy = mkdtempSync(join(directory, 'cut-'))
        cpSync(runs, copy, { recursive: true })
        truncateSync(join(copy, 'run', 'seg', name), left)
        const { on, codes } = listenForWarnings()
        const { results, stats } = await execute(described, ITEMS, {
          ...BASE,
          checkpoint: { store: copy, durability: 'none' },
          on,
        })
        expect(results).toEqual(RECORDS)
        expect(codes()).toContain('CHECKPOINT_DAMAGED')
        expect(stats.restored + stats.dispatched).toBe(60)
      }
    },
  )

  test('a run of which nothing can be read is refused, and left as it is', async () => {
    const { runs, starts } = newPlace()
    await execute(noted, ITEMS, { ...BASE, checkpoint: runs })
    for (const folder of ['run', 'seg']) {
      for (const name of readdirSync(join(runs, 'run', folder))) writeFileSync(join(runs, 'run', folder, name), 'rubbish')
    }
    const error = await errorOf(execute(noted, ITEMS, { ...BASE, checkpoint: runs }))
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_CORRUPT' })
    expect(error.message).toContain("resume: 'fresh'")
    expect(starts()).toHaveLength(60)
    const fresh = await execute(noted, ITEMS, { ...BASE, checkpoint: runs, resume: 'fresh' })
    expect(fresh.stats.dispatched).toBe(60)
  })
})

describe('a checkpoint that cannot be written is an error the user sees', () => {
  // The store is tried for 30 s, in real time: the three cases wait together.
  test('with all results in hand, unless it recovers or is said not to matter', { timeout: 120_000 }, async () => {
    newPlace()
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    const DOUBLED = ITEMS.map((n) => n * 2)
    const fail = async () => {
      const { store, heal } = failing(() => full)
      const error = await errorOf(execute(noted, ITEMS, { ...BASE, checkpoint: store }))
      expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', cause: full })
      expect(error.message).toContain('no space left on device')
      expect(error.report).toMatchObject({ runId: 'run', status: 'complete', results: DOUBLED })
      heal()
      expect((await execute(noted, ITEMS, { ...BASE, checkpoint: store, on: { warning: () => {} } })).results).toEqual(DOUBLED)
    }
    const warn = async () => {
      const { store } = failing(() => full)
      const { on, warnings } = listenForWarnings()
      const report = await execute(noted, ITEMS, { ...BASE, checkpoint: { store, onError: 'warn' }, on })
      expect(report).toMatchObject({ status: 'complete', results: DOUBLED, stats: { checkpoints: 0 } })
      expect(warnings).toMatchObject([{ code: 'CHECKPOINT_OFF' }])
      expect(warnings[0]?.message).toContain('no space left on device')
    }
    const recover = async () => {
      let failures = 0
      const { store } = failing(() => (++failures > 3 ? undefined : full))
      const { on, warnings } = listenForWarnings()
      const report = await execute(noted, ITEMS, { ...BASE, checkpoint: { store, every: 10 }, on })
      expect(report).toMatchObject({ status: 'complete', results: DOUBLED })
      expect(failures).toBeGreaterThan(3)
      expect(warnings).toEqual([])
      expect((await execute(noted, ITEMS, { ...BASE, checkpoint: store })).stats).toMatchObject({ restored: 60, dispatched: 0 })
    }
    await Promise.all([fail(), warn(), recover()])
  })

  test('soon, with all results in hand, in a run that is told to end while it waits for the store', async () => {
    newPlace()
    const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    const abort = new AbortController()
    const { store } = failing(() => full)
    const began = performance.now()
    const error = await errorOf(
      execute(noted, ITEMS, {
        ...BASE,
        checkpoint: { store, every: 60, interval: 3_600_000 },
        signal: abort.signal,
        on: { beforeCheckpoint: () => abort.abort(new Error('time to go')) },
      }),
    )
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', cause: full, report: { status: 'complete' } })
    expect(error.message).toContain(', as the run was told to end, got no space left on device')
    expect(performance.now() - began).toBeLessThan(15_000)
  })

  // A record that no file may hold is given up at once.
  test.each([
    ['throw behind their last', 'ERR_PAWL_ABORTED', true],
    ['end before one that is on record', 'ERR_PAWL_CHECKPOINT_MISMATCH', false],
  ])('beside the error that ends the run, when its items %s: %s', async (_, code, isThrown) => {
    const { spoil } = newPlace()
    spoil(0)
    let isBroken = false
    const tooLarge = Object.assign(new Error('file too large'), { code: 'EFBIG' })
    const { store } = failing(() => (isBroken ? tooLarge : undefined))
    const { on, warnings } = listenForWarnings()
    const options = { ...BASE, chunkSize: 1, maxFailures: 60, checkpoint: { store, interval: 3_600_000 } }
    // What failed runs again, so that there is something to write.
    await interrupt(noted, range(20).values(), options, 3)
    isBroken = true
    let settled = () => {}
    const hasSettled = new Promise<void>((resolve) => {
      settled = resolve
    })
    const outcome = ({ restored }: Outcome) => !restored && settled()
    async function* given() {
      yield* range(2)
      await hasSettled
      if (isThrown) throw new Error('no more')
    }
    const error = await errorOf(execute(noted, given(), { ...options, on: { ...on, outcome } }))
    expect(error).toMatchObject({ code })
    expect(warnings).toEqual([
      {
        code: 'CHECKPOINT_FAILED',
        message: expect.stringMatching(/^Cannot write the checkpoint of run 'run': .*, got file too large/),
      },
    ])
  })

  test('beside more failures than are tolerated, which are told, too', async () => {
    const { spoil } = newPlace()
    spoil(0)
    const tooLarge = Object.assign(new Error('file too large'), { code: 'EFBIG' })
    const { store } = failing(() => tooLarge)
    const { on, warnings } = listenForWarnings()
    const error = await errorOf(execute(noted, ITEMS, { ...BASE, checkpoint: store, maxFailures: 0, on }))
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_WRITE', cause: tooLarge, report: { stats: { failed: 1 } } })
    const message = expect.stringMatching(/expected at most 0 failures \(maxFailures\), got 1 item that failed, first item 0/)
    expect(warnings).toEqual([{ code: 'RUN_FAILED', message }])
  })

  test('before anything runs when there is no place for it', async () => {
    const { directory, starts } = newPlace()
    const file = join(directory, 'file')
    writeFileSync(file, '')
    for (const checkpoint of [file, join(file, 'runs')]) {
      const error = await errorOf(execute(noted, ITEMS, { ...BASE, checkpoint }))
      expect(error).toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION' })
      expect(error.message).toContain(file)
    }
    await expect(listRuns(file)).rejects.toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION' })
    expect(starts()).toEqual([])
  })
})

describe('a result that the format cannot hold', () => {
  test('is a failure of its item that says where, and the run goes on', async () => {
    const { runs } = newPlace()
    const task = (n: number) => (n === 3 ? { list: [1, { at: 10n }] } : n)
    const { results, failures } = await execute(task, ITEMS, {
      ...BASE,
      maxFailures: 1,
      checkpoint: { store: runs, format: 'json' },
    })
    expect(failures).toMatchObject([{ index: 3, kind: 'serialization', reason: { code: 'ERR_PAWL_SERIALIZATION' } }])
    const reason = failures[0]?.reason as SerializationError
    expect(reason.message).toMatch(/item 3/)
    expect(reason.path).toMatch(/list\[1\]\.at/)
    expect(reason.index).toBe(failures[0]?.index)
    expect(Array.from(results)).toEqual(ITEMS.map((n) => (n === 3 ? undefined : n)))
    const binary = await execute(task, ITEMS, { ...BASE, checkpoint: { store: runs, format: 'msgpack' } })
    expect(binary.results[3]).toEqual({ list: [1, { at: 10n }] })
    expect(binary.stats.dispatched).toBe(1)
  })
})

/** A store in which nothing of a segment can be written as long as `errorNow` gives an error. */
function failing(errorNow: () => Error | undefined): { store: Store; heal(): void } {
  const store = memoryStore()
  let isHealed = false
  const check = (key: string) => {
    const error = isHealed || !key.includes('/seg/') ? undefined : errorNow()
    if (error) throw error
  }
  const { append } = store
  if (!append) throw new Error('a memory store can append')
  return {
    store: {
      ...store,
      put: async (key, bytes, options) => {
        check(key)
        await store.put(key, bytes, options)
      },
      append: async (key) => {
        const log = await append(key)
        return {
          ...log,
          write: async (bytes) => {
            check(key)
            await log.write(bytes)
          },
        }
      },
    },
    heal: () => {
      isHealed = true
    },
  }
}
