import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { defineTask, execute, plan, stream, type TaskRef } from 'pawl'
import { describe, expect, test } from 'vitest'
import { range, sharedCells, whenSet } from '../execute/calls.ts'
import arithmetic from '../fixtures/tasks/arithmetic.mjs'

const path = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
/** What Node 22.18 and later do with a .ts file. */
const runsTypeScript = Boolean((process.features as { typescript?: unknown }).typescript)

type Case = [what: string, task: TaskRef<number, unknown>, message: RegExp, cause: object]

const CASES: Case[] = [
  ['a module that is missing', path('tasks/missing.mjs'), /missing\.mjs.*expected a file/, { code: 'ENOENT' }],
  [
    'a module that throws on import',
    path('tasks/throws-on-import.mjs'),
    /throws-on-import.*the configuration is missing/,
    { name: 'RangeError', code: 'E_CONFIG' },
  ],
  ['a module with a syntax error', path('broken/syntax.mjs'), /syntax\.mjs.*Unexpected end/, { name: 'SyntaxError' }],
  [
    'a module that imports what is missing',
    'data:text/javascript,import "node:nothing"; export default () => 1',
    /node:nothing/,
    { code: 'ERR_UNKNOWN_BUILTIN_MODULE' },
  ],
  ['a module without functions', path('tasks/empty.mjs'), /default export.*got nothing.*exports no function/, {}],
  [
    'the wrong name',
    { module: path('tasks/arithmetic.mjs'), export: 'cubed' },
    /export 'cubed'.*It exports 'cube', 'default', 'getHidden', 'half'/,
    {},
  ],
  [
    'the name of something that is no function',
    { module: path('tasks/arithmetic.mjs'), export: 'nothing' },
    /'nothing'.*got string/,
    {},
  ],
  ['a path with a null byte', 'a\0b.mjs', /'a\\x00b\.mjs': expected a path/, {}],
  [
    'a file: URL of another host',
    new URL('file://host/a.mjs'),
    /expected the URL of a file/,
    { code: 'ERR_INVALID_FILE_URL_HOST' },
  ],
  ['source that is no module', 'data:text/javascript,export default (', /Unexpected/, { name: 'SyntaxError' }],
]

test('a task that its module does not define as it is imported, but later or once more, is told as that', async () => {
  const late = defineTask(new URL('../fixtures/tasks/arithmetic.mjs', import.meta.url), (n: number) => n)
  await expect(execute(late, [1], { mode: 'threads' })).rejects.toMatchObject({
    code: 'ERR_PAWL_TASK_LOAD',
    message: expect.stringMatching(
      /at least 4 tasks that it defines.*got 3\. .*evaluated again.*It exports 'cube'.*{ module, export }/,
    ),
  })
})

describe('TaskLoadError ends the run at once for', () => {
  test.each(CASES)('%s', async (_, task, message, cause) => {
    const outcomes: unknown[] = []
    for (const mode of ['threads', 'inline', 'auto'] as const) {
      const on = { outcome: (it: unknown) => void outcomes.push(it) }
      const error = await execute(task, range(100), { mode, workers: 2, retry: { retries: 3 }, maxFailures: 100, on }).catch(
        (it) => it,
      )
      expect(error).toMatchObject({ name: 'TaskLoadError', code: 'ERR_PAWL_TASK_LOAD' })
      expect(error.message).toMatch(message)
      expect(error.cause ?? {}).toMatchObject(cause)
      expect(error.cause?.message).not.toBe(error.message) // An uncaught one would say it twice.
      if (error.report) expect(error.report).toMatchObject({ status: 'partial', failures: [], stats: { attempts: 0, failed: 0 } })
    }
    expect(outcomes).toEqual([])
  })

  test('a module that calls process.exit on import', async () => {
    const error = await execute(path('tasks/exits-on-import.mjs'), range(10), { mode: 'threads', workers: 2 }).catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_TASK_LOAD', report: { stats: { attempts: 0, crashes: 0, failed: 0 } } })
    expect(error.message).toMatch(/ended before any item began.*exit code 7/)
    expect(error.message).toMatch(/when it is imported/)
    expect(error.cause).toBeInstanceOf(Error)
  })

  test('a heap that is too small to start', async () => {
    const resourceLimits = { maxOldGenerationSizeMb: 4, maxYoungGenerationSizeMb: 1 }
    const error = await execute(arithmetic, range(10), { workers: 2, resourceLimits }).catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_TASK_LOAD', cause: { code: 'ERR_WORKER_OUT_OF_MEMORY' } })
    expect(error.message).toMatch(/resourceLimits/)
  })

  test.skipIf(runsTypeScript)('a .ts task where Node cannot run it', async () => {
    for (const mode of ['threads', 'inline'] as const) {
      const error = await execute(path('tasks/typed.ts'), [1, 2], { mode }).catch((it) => it)
      expect(error).toMatchObject({ code: 'ERR_PAWL_TASK_LOAD', cause: { code: 'ERR_UNKNOWN_FILE_EXTENSION' } })
      expect(error.message).toMatch(/typed\.ts.*Node 22\.18 or later, or compile it/)
    }
  })

  test.runIf(runsTypeScript)('nothing where Node runs .ts tasks by itself (skipped where it does not)', async () => {
    await expect(execute(path('tasks/typed.ts'), [1, 2], { mode: 'threads' })).resolves.toMatchObject({ results: [10, 20] })
  })

  test('stream() and plan() as well', async () => {
    const task = path('tasks/throws-on-import.mjs')
    await expect(plan(task, [1, 2])).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
    const outcomes = stream(task, [1, 2])
    const taken: unknown[] = []
    const loop = async () => {
      for await (const outcome of outcomes) taken.push(outcome)
    }
    await expect(loop()).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
    await expect(outcomes.report).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
    expect(taken).toEqual([])
  })
})

test('a task in what node was given by -e is told as that', async () => {
  const program =
    "import { defineTask, execute } from 'pawl'; execute(defineTask(import.meta.url, (n) => n), [1]).catch((e) => console.log(e.message))"
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
  expect(stdout).toMatch(/^Cannot load task '\[eval\d*\]': expected a file, got code that node was given by -e/)
})

test('a module that never ends loading is given up when the run is aborted', async () => {
  const abort = new AbortController()
  const run = execute(path('tasks/never-loads.mjs'), [1, 2], { mode: 'threads', signal: abort.signal, drainTimeout: 50 })
  // Another run, begun later, is through before this one gets anywhere.
  const shared = { latch: sharedCells(1), started: sharedCells(1) }
  const other = execute(new URL('../fixtures/tasks/counted.mjs', import.meta.url).href, [1], { shared }).catch(() => {})
  await Promise.race([other, whenSet(shared.started, 0)])
  abort.abort(new Error('enough'))
  await expect(run).rejects.toMatchObject({ code: 'ERR_PAWL_ABORTED', cause: new Error('enough'), report: { failures: [] } })
})
