import { spawnSync } from 'node:child_process'
import { getEventListeners } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { execute } from 'pawl'
import { describe, expect, test } from 'vitest'
import { newDirectory, range } from '../resume/place.ts'

/** The package that is built, for programs outside of it. */
const PAWL = pathToFileURL(join(import.meta.dirname, '../../dist/index.js')).href

// The share of its time that a checkpoint costs a run is measured by bench/: a figure is no test on a shared machine.
describe('a stage that is off costs nothing', () => {
  const FAILS_ONCE = "(n, { attempt }) => { if (attempt === 1) throw new Error('once'); return n + 1 }"
  const run = (options: string, task = '(n) => n + 1') =>
    `import { execute } from 'pawl'
     const { results } = await execute(${task}, [1, 2, 3], ${options})
     if (results.join() !== '2,3,4') throw new Error('wrong')`

  test.each([
    ['importing pawl', "import 'pawl'", [], ['piscina', 'msgpackr', 'opossum', 'p-retry']],
    ['an inline run', run("{ mode: 'inline' }"), [], ['piscina', 'msgpackr', 'opossum', 'p-retry']],
    ['a run on threads', run("{ mode: 'threads' }"), ['piscina'], ['msgpackr', 'opossum', 'p-retry']],
    ['retries that nothing needed', run('{ retry: 3, breaker: false }'), ['piscina'], ['msgpackr', 'opossum']],
    ['a retry', run('{ retry: { retries: 1, minTimeout: 0 } }', FAILS_ONCE), ['piscina', 'p-retry'], ['msgpackr', 'opossum']],
    ['a breaker', run('{ retry: 3, breaker: true }'), ['piscina', 'opossum'], ['msgpackr']],
    ['a checkpoint', run("{ mode: 'threads', checkpoint: './runs' }"), ['piscina'], ['msgpackr', 'opossum', 'p-retry']],
    [
      'a checkpoint of what is no plain data',
      run("{ mode: 'threads', checkpoint: './runs' }", '(n) => Object(n + 1)'),
      ['piscina', 'msgpackr'],
      ['opossum', 'p-retry'],
    ],
    [
      'a checkpoint in JSON',
      run("{ mode: 'threads', checkpoint: { store: './runs', format: 'json' } }"),
      ['piscina'],
      ['msgpackr', 'opossum', 'p-retry'],
    ],
  ])('loads only what is used: %s', (_, program, used, unused) => {
    const loaded = packagesLoadedBy(program)
    expect(loaded).toEqual(expect.arrayContaining(used))
    expect(loaded.filter((name) => unused.includes(name))).toEqual([])
  })

  test('without a checkpoint, a breaker or notices none of what serves them is loaded', () => {
    const files = modulesLoadedBy(run("{ mode: 'threads' }")).filter((url) => url.startsWith(PAWL.replace('index.js', '')))
    const names = new Set(files.map((url) => basename(url)))
    // Of the modules that engine.js and run.js gather, each that is asked for has a file that only names it.
    expect([...names].sort()).toEqual(['engine.js', 'engines.js', 'index.js', 'pawl.js', 'perform.js', 'run.js', 'shared.js'])
  })

  test('listens to no process signal and leaves no listener and no timer behind', async () => {
    const before = ['SIGTERM', 'SIGINT', 'exit', 'beforeExit'].map((event) => process.listenerCount(event))
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout' || name === 'Immediate').length
    const timersBefore = timers()
    const { signal } = new AbortController()
    let during: number[] = []
    await execute((n: number) => n + 1, range(1000), {
      signal,
      on: {
        plan: () => {
          during = ['SIGTERM', 'SIGINT', 'exit', 'beforeExit'].map((event) => process.listenerCount(event))
        },
      },
    })
    expect(during.slice(0, 2)).toEqual(before.slice(0, 2))
    expect(['SIGTERM', 'SIGINT', 'exit', 'beforeExit'].map((event) => process.listenerCount(event))).toEqual(before)
    expect(getEventListeners(signal, 'abort')).toEqual([])
    expect(timers()).toBeLessThanOrEqual(timersBefore)
  })
})

/** URLs of all that the main thread of a program imports. */
function modulesLoadedBy(program: string): string[] {
  const directory = newDirectory()
  const [log, hooks, main, file] = ['loaded', 'hooks.mjs', 'main.mjs', 'program.mjs'].map((name) => join(directory, name)) as [
    ...[string, string, string, string],
  ]
  // Hooks reach workers too on Node 20: they note only what the thread does that registered them.
  writeFileSync(
    hooks,
    `import { appendFileSync } from 'node:fs'
    export async function resolve(specifier, context, next) {
      const resolved = await next(specifier, context)
      appendFileSync(${JSON.stringify(log)}, resolved.url + '\\n')
      return resolved
    }`,
  )
  writeFileSync(
    main,
    `import { appendFileSync } from 'node:fs'
    import { createRequire, register } from 'node:module'
    import { pathToFileURL } from 'node:url'
    register(${JSON.stringify(pathToFileURL(hooks).href)})
    const required = () => Object.keys(createRequire(import.meta.url).cache).map((file) => pathToFileURL(file).href)
    process.on('exit', () => appendFileSync(${JSON.stringify(log)}, required().join('\\n')))
    await import('./program.mjs')`,
  )
  writeFileSync(file, program.replaceAll("'pawl'", JSON.stringify(PAWL)))
  const { status, stderr } = spawnSync(process.execPath, [main], { cwd: directory, encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return readFileSync(log, 'utf8').split('\n').filter(Boolean)
}

function packagesLoadedBy(program: string): string[] {
  return [...new Set(modulesLoadedBy(program).flatMap((url) => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1] ?? []))]
}
