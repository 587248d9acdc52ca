import { execFile } from 'node:child_process'
import { relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { defineTask, execute, plan, type TaskRef } from 'pawl'
import { describe, expect, test } from 'vitest'
import arithmetic, { cube, getHidden } from '../fixtures/tasks/arithmetic.mjs'

const url = (name: string) => new URL(`../fixtures/tasks/${name}`, import.meta.url)
const path = (name: string) => fileURLToPath(url(name))

const object = {
  double(n: number) {
    return n * 2
  },
  async later(n: number) {
    return n * 3
  },
  'with a space'(n: number) {
    return n * 4
  },
  get() {
    return 5
  },
  async: (n: number) => n * 6,
}

function declared(n: number) {
  return n - 1
}

const FORMS: [string, TaskRef<number, number>, number[]][] = [
  ['a task that is a default export', arithmetic, [4, 9]],
  ['a task that is a named export', cube, [8, 27]],
  ['a task that is not exported', getHidden(), [1002, 1003]],
  ['a URL', url('arithmetic.mjs'), [4, 9]],
  ['an absolute path', path('arithmetic.mjs'), [4, 9]],
  ['a path relative to the working directory', relative(process.cwd(), path('arithmetic.mjs')), [4, 9]],
  ['a relative path with ./', `./${relative(process.cwd(), path('arithmetic.mjs'))}`, [4, 9]],
  ['the string of a file: URL', url('arithmetic.mjs').href, [4, 9]],
  ['a URL with a query', new URL(`${url('arithmetic.mjs').href}?v=2`), [4, 9]],
  ['{ module, export } of a task', { module: url('arithmetic.mjs'), export: 'cube' }, [8, 27]],
  ['{ module, export } of a function', { module: path('arithmetic.mjs'), export: 'half' }, [1, 1.5]],
  ['{ module } without export', { module: path('arithmetic.mjs') }, [4, 9]],
  ['{ module, export: undefined }', { module: path('arithmetic.mjs'), export: undefined }, [4, 9]],
  ['a CommonJS module', path('common.cjs'), [3, 4]],
  ['a name of a CommonJS module', { module: path('common.cjs'), export: 'named' }, [4, 5]],
  ['a CommonJS module made from an ES module', path('transpiled.cjs'), [5, 6]],
  ['a task defined in a CommonJS module', { module: path('defined.cjs'), export: 'plusFour' }, [6, 7]],
  ['a task defined in a CommonJS module by its file name', { module: path('defined.cjs'), export: 'plusFive' }, [7, 8]],
  ['a task defined by a URL object', { module: path('defined.cjs'), export: 'plusSix' }, [8, 9]],
  ['a data: URL', 'data:text/javascript,export default (n) => n * 7', [14, 21]],
  ['an arrow function', (n) => n + 0.5, [2.5, 3.5]],
  ['an async arrow function', async (n) => n + 0.25, [2.25, 3.25]],
  ['a function declaration', declared, [1, 2]],
  ['a function expression', function named(n) { return n - 2 }, [0, 1]], // biome-ignore format: as it is written
  ['a method in shorthand', object.double, [4, 6]],
  ['an async method in shorthand', object.later, [6, 9]],
  ['a method with a computed name', object['with a space'], [8, 12]],
  ['a method called get', object.get, [5, 5]],
  ['a property called async', object.async, [12, 18]],
]

describe('execute() takes', () => {
  test.each(FORMS)('%s', async (_, task, results) => {
    for (const mode of ['threads', 'inline'] as const) {
      await expect(execute(task, [2, 3], { mode })).resolves.toMatchObject({ results })
    }
  })

  test.each([[5], [null], [undefined], [{}], [[]], [{ module: 5 }], [{ module: 'x.mjs', export: 5 }], ['']])(
    'nothing else: %j is an InvalidOptionError',
    async (task) => {
      await expect(execute(task as never, [1])).rejects.toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION' })
    },
  )

  test('no member that there is not, and says which was meant', async () => {
    const module = path('arithmetic.mjs')
    await expect(execute({ module, exports: 'cube' } as TaskRef<number, number>, [2])).rejects.toMatchObject({
      code: 'ERR_PAWL_INVALID_OPTION',
      option: 'task.exports',
      message:
        "Cannot use option 'task.exports': expected one of the known members (module, export), got 'cube'. Did you mean 'export'?",
    })
    await expect(plan({ module, name: 'cube' } as TaskRef<number, number>, [2])).rejects.toMatchObject({ option: 'task.name' })
    const { results } = await execute({ module, exports: undefined } as TaskRef<number, number>, [2])
    expect(results).toEqual([4])
  })

  test.each(['https://example.org/task.mjs', 'blob:nodedata:1', 's3://bucket/task.mjs'])(
    'no URL that a worker cannot load: %s',
    async (url) => {
      const expected = { code: 'ERR_PAWL_INVALID_OPTION', message: expect.stringContaining('expected a path or a file: URL') }
      await expect(execute(new URL(url), [1])).rejects.toMatchObject(expected)
      if (url.includes('//')) await expect(execute(url, [1])).rejects.toMatchObject(expected)
    },
  )

  test('a path relative to the working directory, not to the caller', async () => {
    const error = await execute('../fixtures/tasks/arithmetic.mjs', [1]).catch((it) => it)
    expect(error).toMatchObject({ code: 'ERR_PAWL_TASK_LOAD', cause: { code: 'ENOENT' } })
    expect(error.message).toContain(relative(process.cwd(), fileURLToPath(pathToFileURL('../fixtures/tasks/arithmetic.mjs'))))
  })
})

test('a task whose module only a test runner can import runs inline, and threads say that they cannot load it', async () => {
  const ofThisFile = defineTask(import.meta.url, (n: number) => n * 2)
  await expect(execute(ofThisFile, [1, 2], { mode: 'inline' })).resolves.toMatchObject({ results: [2, 4] })
  await expect(execute(ofThisFile, [1, 2], { mode: 'threads' })).rejects.toMatchObject({ code: 'ERR_PAWL_TASK_LOAD' })
})

test('workers inherit execArgv, also of a program that is given on the command line', async () => {
  const program = `import { execute } from 'pawl'
    const { results } = await execute(() => process.execArgv, [1], { mode: 'threads' })
    console.log(JSON.stringify(results[0]))`
  const flags = ['--no-deprecation', '--conditions=special', '--input-type=module']
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [...flags, '--eval', program])
  expect(stderr).toBe('')
  expect(JSON.parse(stdout)).toEqual(expect.arrayContaining(flags))
})

test.each([['./task.mjs'], [''], [5], [undefined]])(
  'defineTask() takes no %j, and says what a CommonJS module gives',
  (given) => {
    expect(() => defineTask(given as never, () => 1)).toThrow(
      /'url': expected import\.meta\.url, or in CommonJS pathToFileURL\(__filename\), got/,
    )
  },
)

describe('an inline function', () => {
  const outside = 7
  const helper = (n: number) => n * outside

  test.each(['threads', 'inline'] as const)('sees nothing outside itself, and the error says so: %s', async (mode) => {
    for (const task of [
      (n: number) => n * outside,
      async (n: number) => helper(n),
      (n: number) => Promise.resolve().then(() => helper(n)),
    ]) {
      const error = await execute(task, [1, 2, 3], { mode }).catch((it) => it)
      expect(error.code).toBe('ERR_PAWL_RUN_FAILED')
      expect(error.cause).toBeInstanceOf(ReferenceError)
      expect(error.cause.message).toMatch(/(outside|helper) is not defined/)
      expect(error.cause.message).toMatch(/defineTask\(import\.meta\.url/)
      expect(error.message).toContain('defineTask')
    }
  })

  test("that means a ReferenceError of its own to be one keeps the explanation out of the items' way", async () => {
    const report = await execute((n: number) => (n === 2 ? ([][5 as never] ?? 'none') : 'one'), [1, 2])
    expect(report.results).toEqual(['one', 'none'])
  })

  test.each(['threads', 'inline'] as const)('may have been compiled by esbuild, which keeps names: %s', async (mode) => {
    const task = new Function(
      `return (n) => { const twice = /* @__PURE__ */ __name((it) => it * 2, 'twice'); return twice(n) + twice.name }`,
    )()
    await expect(execute(task, [1, 2], { mode })).resolves.toMatchObject({ results: ['2twice', '4twice'] })
  })

  test.each(['threads', 'inline'] as const)(
    'may have been compiled by Vite, as this file is, which replaces import(): %s',
    async (mode) => {
      const task = async () => (await import('node:path')).sep
      expect(String(task)).toContain('__vite_ssr_dynamic_import__')
      await expect(execute(task, [1], { mode })).resolves.toMatchObject({ results: ['/'] })
    },
  )

  test('that coverage was put into is told what put it there', async () => {
    const task = new Function('return (n) => { cov_1a2b3c().s[0]++; return n }')()
    const error = await execute(task, [1]).catch((it) => it)
    expect(error.cause.message).toMatch(/^cov_1a2b3c is not defined: coverage \(istanbul\).*v8 provider.*defineTask/)
    expect(error.cause.stack).toContain(error.cause.message)
  })

  test.each(['threads', 'inline'] as const)('that imports what lies beside it is told where to put it: %s', async (mode) => {
    for (const asked of ['marked', './x.mjs']) {
      const task = new Function(`return async () => (await import('${asked}')).default`)()
      const { cause } = await execute(task, [1], { mode }).catch((it) => it)
      expect(cause).toMatchObject({ name: 'TypeError', code: 'ERR_UNSUPPORTED_RESOLVE_REQUEST' })
      expect(cause.message).toMatch(new RegExp(`^Cannot import '${asked}': .*defineTask.*the path of a module`))
      expect(cause.stack).toContain(cause.message)
      // On the main thread vitest makes the stacks, and knows no sourceURL.
      if (mode === 'threads') expect(cause.stack).not.toContain('data:')
    }
    const task = new Function(`return async () => (await import('node:path')).sep`)()
    await expect(execute(task, [1], { mode })).resolves.toMatchObject({ results: ['/'] })
  })

  test('is in stacks by a name, not by all of its source', async () => {
    const task = () => {
      throw new Error('bad')
    }
    const { cause } = await execute(task, [1], { mode: 'threads' }).catch((it) => it)
    expect(cause.stack).toMatch(/^Error: bad\n.*\(inline-function:\d+:\d+\)/)
    expect(cause.stack).not.toContain('data:')
  })

  test.each<[string, (n: number) => number]>([
    ['a bound function', declared.bind(null)],
    ['a native function', Math.sqrt],
    ['a proxy of a function', new Proxy(declared, {})],
  ])('that has no source is a TaskLoadError: %s', async (_, task) => {
    await expect(execute(task, [1])).rejects.toMatchObject({
      code: 'ERR_PAWL_TASK_LOAD',
      message: expect.stringMatching(/native or bound.*arrow function.*defineTask/),
    })
  })

  test('that is a class or a getter is a failure that says what it is, not a hang', async () => {
    class Point {}
    const error = await execute(Point as never, [1], { mode: 'threads' }).catch((it) => it)
    expect(error.message).toMatch(/Class constructor Point cannot be invoked without 'new'/)
  })
})
