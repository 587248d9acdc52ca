import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as pawl from 'pawl'
import { createExecutor, execute, inspectRun, memoryStore, type PawlError, type Store } from 'pawl'
import { describe, expect, test } from 'vitest'
import { hopeless, noted, tripled } from './fixtures/tasks/noted.mjs'
import { errorOf, interrupt, newPlace, range } from './resume/place.ts'

const ITEMS = range(20)

/** How each code comes about, and what its message must tell. Those that end a started run carry its report. */
const CAUSES: Record<
  pawl.ErrorCode,
  { readonly provoke: () => Promise<unknown>; readonly tells: RegExp; readonly hasReport: boolean }
> = {
  ERR_PAWL_RUN_FAILED: {
    provoke: () => execute((n: number) => JSON.parse(`{${n}`), ITEMS),
    tells: /at most 0 failures \(maxFailures\), got .* first item \d+: /,
    hasReport: true,
  },
  ERR_PAWL_ABORTED: {
    provoke: () => {
      const abort = new AbortController()
      abort.abort(new Error('the user had enough'))
      return execute((n: number) => n, ITEMS, { signal: abort.signal })
    },
    tells: /the user had enough/,
    hasReport: true,
  },
  ERR_PAWL_TIMEOUT: {
    provoke: () => reasonOf(execute(endless, ITEMS, { timeout: 50, maxFailures: 1 }), 7),
    tells: /item 7.* 50 ms.*'timeout'/,
    hasReport: false,
  },
  ERR_PAWL_WORKER_CRASH: {
    provoke: () => reasonOf(execute(exiting, ITEMS, { maxFailures: 1, mode: 'threads' }), 7),
    tells: /item 7/,
    hasReport: false,
  },
  ERR_PAWL_SERIALIZATION: {
    provoke: () =>
      reasonOf(
        execute((n: number) => (n === 7 ? { list: [() => n] } : n), ITEMS, { maxFailures: 1 }),
        7,
      ),
    tells: /item 7/,
    hasReport: false,
  },
  ERR_PAWL_TASK_LOAD: {
    provoke: () => execute('./no/such/task.mjs', ITEMS),
    tells: /no\/such\/task\.mjs/,
    hasReport: false,
  },
  ERR_PAWL_NON_RETRYABLE: {
    provoke: () => reasonOf(execute(hopeless, ITEMS, { retry: 3, maxFailures: 1 }), 7),
    tells: /^never mind$/,
    hasReport: false,
  },
  ERR_PAWL_CIRCUIT_OPEN: {
    provoke: () => {
      const breaker = { volumeThreshold: 1, errorThresholdPercentage: 1, resetTimeout: 1, maxOpens: 1 }
      const options = { breaker, chunkSize: 1, workers: 1, maxFailures: 20, mode: 'threads' } as const
      return execute((n: number) => JSON.parse(`{${n}`), ITEMS, options)
    },
    tells: /open/,
    hasReport: true,
  },
  ERR_PAWL_CHECKPOINT_MISMATCH: {
    provoke: async () => {
      const { runs } = newPlace()
      await execute(noted, ITEMS, { checkpoint: runs, runId: 'run' })
      return execute(tripled, ITEMS, { checkpoint: runs, runId: 'run' })
    },
    tells: /'run'.*noted.mjs#noted.*noted.mjs#tripled.*resume: 'fresh'/,
    hasReport: false,
  },
  ERR_PAWL_CHECKPOINT_CORRUPT: {
    provoke: async () => {
      const { runs } = newPlace()
      await execute(noted, ITEMS, { checkpoint: runs, runId: 'run' })
      for (const folder of ['run', 'seg']) {
        for (const name of readdirSync(join(runs, 'run', folder))) writeFileSync(join(runs, 'run', folder, name), 'rubbish')
      }
      return execute(noted, ITEMS, { checkpoint: runs, runId: 'run' })
    },
    tells: /'run'.*resume: 'fresh'/,
    hasReport: false,
  },
  ERR_PAWL_CHECKPOINT_WRITE: {
    provoke: () => {
      newPlace()
      return execute(noted, ITEMS, { checkpoint: withoutRoom(), runId: 'run' })
    },
    tells: /'run'.* 30 s.*no space left/,
    hasReport: true,
  },
  ERR_PAWL_CHECKPOINT_VERSION: {
    provoke: async () => {
      const { runs } = newPlace()
      mkdirSync(join(runs, 'run', 'run'), { recursive: true })
      const manifest = join(runs, 'run', 'run', '0123456789abcdef.json')
      writeFileSync(manifest, '{"version":2,"runId":"run","crc":"00000000"}')
      const error = await errorOf(execute(noted, ITEMS, { checkpoint: runs, runId: 'run' }))
      // Nothing was touched.
      expect(readFileSync(manifest, 'utf8')).toBe('{"version":2,"runId":"run","crc":"00000000"}')
      expect(existsSync(join(runs, 'run', 'seg'))).toBe(false)
      throw error
    },
    tells: /0123456789abcdef\.json.*version 1.*got 2/,
    hasReport: false,
  },
  ERR_PAWL_STORE_CONFLICT: {
    provoke: async () => {
      const store = pawl.fileStore(newPlace().runs)
      await store.put('a/b', new Uint8Array(1))
      await store.put('a/b', new Uint8Array(2))
    },
    tells: /'a\/b'/,
    hasReport: false,
  },
  ERR_PAWL_RUN_LOCKED: {
    provoke: async () => {
      const { runs } = newPlace()
      let refusal: Promise<Error> | undefined
      const outcome = () => {
        refusal ??= errorOf(execute(noted, ITEMS, { checkpoint: runs, runId: 'run' }))
      }
      // The first waits for the second in its iterable, so that it is still at work.
      async function* items() {
        yield* range(10)
        while (!refusal) await new Promise((resolve) => setImmediate(resolve))
        await refusal
        yield* range(10)
      }
      await execute(noted, items(), { checkpoint: runs, runId: 'run', on: { outcome } })
      throw await refusal
    },
    tells: new RegExp(`'run'.*process ${process.pid} on .*nothing needs unlocking`),
    hasReport: false,
  },
  ERR_PAWL_RUN_NOT_FOUND: {
    provoke: () => inspectRun(memoryStore(), 'gone'),
    tells: /'gone'/,
    hasReport: false,
  },
  ERR_PAWL_INVALID_OPTION: {
    provoke: () => execute(noted, ITEMS, { workers: 0 }),
    tells: /'workers': expected an integer .*, got 0/,
    hasReport: false,
  },
}

describe('every error code comes about by itself, and its message says what happened', () => {
  test.each(Object.entries(CAUSES))('%s', { timeout: 120_000 }, async (code, { provoke, tells, hasReport }) => {
    const error = (await errorOf(provoke())) as PawlError
    expect(error).toBeInstanceOf(Error)
    expect(error.code).toBe(code)
    expect(error.message).toMatch(tells)
    if (code !== 'ERR_PAWL_NON_RETRYABLE') expect(error.message).toMatch(/^(Cannot .+|.*item \d+.*)/)
    expect(error.name).toMatch(/Error$/)
    if (hasReport) expect(error).toMatchObject({ report: { status: expect.any(String), stats: { items: 20 } } })
  })

  test('and each has a class that is exported under its name', async () => {
    const classes = Object.entries(pawl).filter(([name, value]) => name.endsWith('Error') && typeof value === 'function')
    const names = classes.map(([name]) => name).filter((name) => name !== 'PawlError')
    expect(names).toHaveLength(Object.keys(CAUSES).length)
    for (const [name, value] of classes) expect((value as { name: string }).name).toBe(name)
  })
})

describe('an error that ends a started run carries what had finished', () => {
  test.each(['threads', 'inline'] as const)('%s', async (mode) => {
    const task = (n: number) => {
      if (n === 15) throw new Error('fifteen is too many')
      return n
    }
    const error = await errorOf(execute(task, ITEMS, { mode, workers: 1, chunkSize: 1 }))
    expect(error.report?.results.slice(0, 15)).toEqual(range(15))
    expect(error.report?.failures).toMatchObject([{ index: 15, reason: { message: 'fifteen is too many' } }])
    expect(error.cause).toBe(error.report?.failures[0]?.reason)
  })

  test('also a mismatch that is found in the middle', async () => {
    const { runs } = newPlace()
    const options = { checkpoint: runs, runId: 'run', chunkSize: 10, workers: 1 }
    await interrupt(noted, range(3000).values(), options, 1500)
    const error = await errorOf(execute(noted, range(3000).fill(-1, 500, 501).values(), options))
    expect(error).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_MISMATCH', report: { runId: 'run', status: 'partial' } })
  })

  test('a closed executor, and options that belong to it, are refused', async () => {
    const executor = createExecutor({ workers: 1 })
    expect(await errorOf(executor.execute(noted, ITEMS, { workers: 2 } as never))).toMatchObject({
      code: 'ERR_PAWL_INVALID_OPTION',
    })
    await executor.close()
    expect((await errorOf(executor.execute(noted, ITEMS))).code).toMatch(/^ERR_PAWL_/)
  })
})

/** The reason of the one failure of a run, which is item `index`. */
async function reasonOf(run: Promise<pawl.Report<unknown, unknown>>, index: number): Promise<never> {
  const { failures } = await run
  expect(failures.map((failure) => failure.index)).toEqual([index])
  throw failures[0]?.reason
}

function endless(n: number): number {
  while (n === 7);
  return n
}

function exiting(n: number): number {
  if (n === 7) process.exit(3)
  return n
}

/** A store with no room for segments. */
function withoutRoom(): Store {
  const full = async () => {
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  }
  const { append: _, ...store } = memoryStore()
  return { ...store, put: (key, bytes, options) => (key.includes('/seg/') ? full() : store.put(key, bytes, options)) }
}
