import {
  type CircuitOpenError,
  createExecutor,
  defineTask,
  type ExecuteOptions,
  type Executor,
  execute,
  type Failure,
  type Listeners,
  move,
  type Outcome,
  type Plan,
  plan,
  type Report,
  type RunAbortedError,
  type RunFailedError,
  type RunOptions,
  stream,
  type Task,
  type TaskContext,
} from 'pawl'
import { describe, expectTypeOf, test } from 'vitest'

/** Checked by tsc and never called. */
const tasks = () => {
  const length = defineTask(import.meta.url, (text: string) => text.length)
  const parse = defineTask(import.meta.url, async (text: string, context: TaskContext<{ unit: 'mm' | 'm' }>) => ({
    value: Number(text),
    unit: context.shared.unit,
  }))
  return { length, parse }
}
type Length = ReturnType<typeof tasks>['length']
type Parse = ReturnType<typeof tasks>['parse']
interface Parsed {
  value: number
  unit: 'mm' | 'm'
}

declare const length: Length
declare const parse: Parse
declare const texts: string[]

describe('types of', () => {
  test('errors that only a run ends with have its report, of others it may be missing', () => {
    expectTypeOf<RunFailedError['report']>().toEqualTypeOf<Report>()
    expectTypeOf<CircuitOpenError['report']>().toEqualTypeOf<Report>()
    expectTypeOf<RunAbortedError['report']>().toEqualTypeOf<Report | undefined>()
  })

  test('the report of each way to run say where results may be missing', () => {
    const runs = () => {
      const executor = createExecutor()
      return {
        streamed: stream(length, texts, { maxFailures: 1 }).report,
        share: stream(length, texts, { shard: '1/2' }).report,
        uncollected: executor.stream(length, texts, { collect: false }).report,
        failed: execute(length, texts, { retryFailed: 'only' }),
        whole: stream(length, texts, { seed: 1 }).report,
        unfailed: execute(length, texts, { retryFailed: false }),
      }
    }
    type Runs = ReturnType<typeof runs>
    expectTypeOf<Runs['streamed' | 'share' | 'uncollected' | 'failed']>().toEqualTypeOf<
      Promise<Report<number | undefined, string>>
    >()
    expectTypeOf<Runs['whole' | 'unfailed']>().toEqualTypeOf<Promise<Report<number, string>>>()
  })

  test('listeners may name the type of results', () => {
    const run = (on: Listeners<number>) => execute(length, texts, { on })
    expectTypeOf<ReturnType<typeof run>>().toEqualTypeOf<Promise<Report<number, string>>>()
  })

  test('defineTask() infer item and result, awaited', () => {
    expectTypeOf<Length>().toEqualTypeOf<Task<string, number, unknown>>()
    expectTypeOf<Parse>().toEqualTypeOf<Task<string, Parsed, { unit: 'mm' | 'm' }>>()
  })

  test('execute() go from the task to results and failures', () => {
    const run = () => execute(parse, texts)
    expectTypeOf<ReturnType<typeof run>>().toEqualTypeOf<Promise<Report<Parsed, string>>>()
    expectTypeOf<Awaited<ReturnType<typeof run>>['results']>().toEqualTypeOf<Parsed[]>()
    expectTypeOf<Awaited<ReturnType<typeof run>>['failures']>().toEqualTypeOf<readonly Failure<string>[]>()
    expectTypeOf<Awaited<ReturnType<typeof run>>['failures'][number]['item']>().toEqualTypeOf<string>()
  })

  test('results say that some may be missing, where some may', () => {
    const tolerant = () => execute(length, texts, { maxFailures: 3 })
    const share = () => execute(length, texts, { maxFailures: '5%' })
    const shard = () => execute(length, texts, { shard: '1/4', workers: 2 })
    const uncollected = () => execute(length, texts, { collect: false })
    const collected = () => execute(length, texts, { collect: true, workers: 2 })
    const plain = () => execute(length, texts, { retry: 3, on: { progress: ({ done }) => void done } })
    expectTypeOf<Awaited<ReturnType<typeof tolerant>>['results']>().toEqualTypeOf<(number | undefined)[]>()
    expectTypeOf<Awaited<ReturnType<typeof share>>['results']>().toEqualTypeOf<(number | undefined)[]>()
    expectTypeOf<Awaited<ReturnType<typeof shard>>['results']>().toEqualTypeOf<(number | undefined)[]>()
    expectTypeOf<Awaited<ReturnType<typeof uncollected>>['results']>().toEqualTypeOf<(number | undefined)[]>()
    expectTypeOf<Awaited<ReturnType<typeof collected>>['results']>().toEqualTypeOf<number[]>()
    expectTypeOf<Awaited<ReturnType<typeof plain>>['results']>().toEqualTypeOf<number[]>()
    expectTypeOf<Awaited<ReturnType<typeof tolerant>>['failures'][number]['item']>().toEqualTypeOf<string>()
  })

  test('inline functions are inferred, with item and context', () => {
    const run = () => execute((n: number) => `${n}`, [1, 2])
    expectTypeOf<Awaited<ReturnType<typeof run>>['results']>().toEqualTypeOf<string[]>()
    const later = () => execute(async (n: number, { index, signal }) => ({ n, index, aborted: signal.aborted }), new Set([1]))
    expectTypeOf<Awaited<ReturnType<typeof later>>['results'][number]>().toEqualTypeOf<{
      n: number
      index: number
      aborted: boolean
    }>()
  })

  test('items must be what the task takes, in whatever they come', () => {
    // @ts-expect-error numbers are no strings
    const array = () => execute(length, [1, 2])
    // @ts-expect-error nor is a set of them
    const set = () => execute(length, new Set([1]))
    // @ts-expect-error nor a generator
    const generator = () => execute(length, (function* () {
      yield 1
    })()) // biome-ignore format: the line after the comment is the one that errs
    const typed = () => execute((n: number) => n, new Float64Array(3))
    const asynchronous = () => execute(length, (async function* () {
      yield 'text'
    })()) // biome-ignore format: as above
    expectTypeOf<Awaited<ReturnType<typeof typed>>['results']>().toEqualTypeOf<number[]>()
    expectTypeOf<Awaited<ReturnType<typeof asynchronous>>['results']>().toEqualTypeOf<number[]>()
    expectTypeOf([array, set, generator]).toBeArray()
  })

  test('options know the item, and refuse what there is not', () => {
    const keyed = () => execute(length, texts, { key: (text) => text.trim() })
    expectTypeOf<Awaited<ReturnType<typeof keyed>>['results']>().toEqualTypeOf<number[]>()
    expectTypeOf<NonNullable<ExecuteOptions<string>['key']>>().toEqualTypeOf<(item: string, index: number) => string>()
    // @ts-expect-error there is no such option
    const unknown = () => execute(length, texts, { concurrency: 5 })
    // @ts-expect-error not of that type
    const wrong = () => execute(length, texts, { workers: 'two' })
    // @ts-expect-error a share ends in %
    const share = () => execute(length, texts, { maxFailures: '5' })
    // @ts-expect-error nor is there beside one under which results may be missing
    const unknownBeside = () => execute(length, texts, { maxFailures: 1, concurrency: 5 })
    const tolerant = () => stream(length, texts, { collect: false, key: (text) => text.trim() })
    expectTypeOf([keyed, unknown, wrong, share, unknownBeside, tolerant]).toBeArray()
    expectTypeOf<{ workers: undefined; retry: undefined }>().toExtend<ExecuteOptions>()
  })

  test('what is shared must be what the task shares, where the task says', () => {
    const shared = () => execute(parse, texts, { shared: { unit: 'mm' } })
    expectTypeOf<Awaited<ReturnType<typeof shared>>['results']>().toEqualTypeOf<Parsed[]>()
    // @ts-expect-error no such unit
    const executed = () => execute(parse, texts, { shared: { unit: 'km' } })
    // @ts-expect-error nor beside an option under which results may be missing
    const tolerant = () => execute(parse, texts, { shared: 'mm', maxFailures: 1 })
    // @ts-expect-error nor in a stream
    const streamed = () => stream(parse, texts, { shared: { unit: 'km' } })
    // @ts-expect-error nor in a plan
    const planned = () => plan(parse, texts, { shared: [] })
    // @ts-expect-error nor in a run of an executor
    const ofExecutor = () => createExecutor().execute(parse, texts, { shared: { unit: 'km' } })
    const unsaid = (options: ExecuteOptions<string>, own: RunOptions<string>) => [
      execute(parse, texts, options),
      createExecutor({ shared: { unit: 'mm' } }).stream(parse, texts, own).report,
      execute(length, texts, { shared: new Map() }),
      execute<string, Parsed>('./task.mjs', texts, { shared: 5 }),
    ]
    expectTypeOf([executed, tolerant, streamed, planned, ofExecutor]).toBeArray()
    expectTypeOf<ReturnType<typeof unsaid>>().toBeArray()
  })

  test('a function that takes any task is generic in what it shares, too', () => {
    const run = <T, R, S>(task: Task<T, R, S>, items: T[], shared: S) => execute(task, items, { shared })
    const results = async () => (await run(parse, texts, { unit: 'mm' })).results
    expectTypeOf(results).returns.resolves.toEqualTypeOf<Parsed[]>()
    // @ts-expect-error It shares a unit.
    expectTypeOf(() => run(parse, texts, { size: 5 })).toBeFunction()
  })

  test('an inline function knows what is shared', () => {
    const run = () => execute((n: number, { shared }) => shared.text.repeat(n), [1, 2], { shared: { text: 'a' } })
    expectTypeOf<Awaited<ReturnType<typeof run>>['results']>().toEqualTypeOf<string[]>()
    // @ts-expect-error there is none of that name
    const wrong = () => execute((n: number, { shared }) => n * shared.factor, [1, 2], { shared: { text: 'a' } })
    const unknown = () => createExecutor({ shared: { factor: 2 } }).execute((n: number, { shared }) => n * shared.factor, [1, 2])
    expectTypeOf([wrong, unknown]).toBeArray()
  })

  test('config may be of an interface', () => {
    interface Config {
      readonly threshold: number
      readonly rules: readonly { name: string }[]
    }
    const configured = (config: Config) => execute(length, texts, { config })
    expectTypeOf<ReturnType<typeof configured>>().toEqualTypeOf<Promise<Report<number, string>>>()
    const rules = (config: Config['rules']) => createExecutor({ config })
    // @ts-expect-error no JSON
    const wrong = () => execute(length, texts, { config: 5n })
    expectTypeOf([rules, wrong]).toBeArray()
  })

  test('stream() and plan() follow the task as well', () => {
    const outcomes = () => stream(length, texts)
    expectTypeOf<Awaited<ReturnType<typeof outcomes>['report']>>().toEqualTypeOf<Report<number, string>>()
    type Yielded = ReturnType<typeof outcomes> extends AsyncIterable<infer V> ? V : never
    expectTypeOf<Yielded>().toEqualTypeOf<Outcome<number>>()
    expectTypeOf<Extract<Yielded, { status: 'fulfilled' }>['value']>().toEqualTypeOf<number>()
    expectTypeOf<Extract<Yielded, { status: 'rejected' }>['reason']>().toEqualTypeOf<Error>()
    const planned = () => plan(length, texts)
    expectTypeOf<Awaited<ReturnType<typeof planned>>>().toEqualTypeOf<Plan>()
  })

  test('an executor takes the same, less what belongs to the pool', () => {
    const executor = () => createExecutor({ workers: 2, mode: 'threads' })
    const run = () => executor().execute(parse, texts, { retry: 2 })
    expectTypeOf<Awaited<ReturnType<typeof run>>['results']>().toEqualTypeOf<Parsed[]>()
    // @ts-expect-error belongs to the executor
    const workers = () => executor().execute(parse, texts, { workers: 2 })
    // @ts-expect-error so it does beside an option under which results may be missing
    const workersBeside = () => executor().stream(parse, texts, { workers: 2, maxFailures: 1 })
    expectTypeOf([workers, workersBeside]).toBeArray()
    expectTypeOf<ReturnType<typeof executor>>().toExtend<AsyncDisposable>()
  })

  test('an executor says that some results may be missing, where some may', () => {
    const executor = () => createExecutor()
    const tolerant = () => executor().execute(length, texts, { maxFailures: 3 })
    expectTypeOf<Awaited<ReturnType<typeof tolerant>>['results']>().toEqualTypeOf<(number | undefined)[]>()
  })

  test('an executor whose options say so says it of each of its runs', () => {
    const runs = () => {
      const tolerant = createExecutor({ workers: 2, maxFailures: 2 })
      return {
        executed: tolerant.execute(length, texts),
        withOptions: tolerant.execute(length, texts, { retry: 1 }),
        streamed: tolerant.stream(length, texts).report,
        share: createExecutor({ shard: '1/2' }).execute(length, texts),
        uncollected: createExecutor({ collect: false }).execute(length, texts),
        failed: createExecutor({ retryFailed: 'only', checkpoint: 'runs' }).stream(length, texts).report,
        whole: createExecutor({ retry: 1, collect: true }).execute(length, texts),
        streamedWhole: createExecutor({ retryFailed: false }).stream(length, texts).report,
      }
    }
    type Runs = ReturnType<typeof runs>
    type Missing = Exclude<keyof Runs, 'whole' | 'streamedWhole'>
    expectTypeOf<Runs[Missing]>().toEqualTypeOf<Promise<Report<number | undefined, string>>>()
    expectTypeOf<Runs['whole' | 'streamedWhole']>().toEqualTypeOf<Promise<Report<number, string>>>()
    // @ts-expect-error there is no such option
    const unknown = () => createExecutor({ maxFailures: 1, concurrency: 5 })
    const annotated = (): Executor<undefined> => createExecutor({ maxFailures: '5%' })
    expectTypeOf([unknown, annotated]).toBeArray()
  })

  test('a module is what its caller says it is', () => {
    const run = () => execute<string, Parsed>(new URL('file:///task.mjs'), texts)
    expectTypeOf<Awaited<ReturnType<typeof run>>['results']>().toEqualTypeOf<Parsed[]>()
    const partly = () => {
      const executor = createExecutor()
      return {
        tolerant: execute<string, Parsed>('./task.mjs', texts, { maxFailures: 1 }),
        uncollected: stream<string, Parsed>('./task.mjs', texts, { collect: false }).report,
        share: executor.execute<string, Parsed>('./task.mjs', texts, { shard: '1/2' }),
        streamed: executor.stream<string, Parsed>('./task.mjs', texts, { maxFailures: '5%' }).report,
      }
    }
    type Partly = ReturnType<typeof partly>
    expectTypeOf<Partly[keyof Partly]>().toEqualTypeOf<Promise<Report<Parsed | undefined, string>>>()
    const unsaid = () => execute('./task.mjs', texts)
    expectTypeOf<Awaited<ReturnType<typeof unsaid>>['results']>().toEqualTypeOf<unknown[]>()
  })

  test('a task of another copy of pawl keeps its types', () => {
    const brand: unique symbol = Symbol('pawl.task')
    interface Elsewhere extends Pick<Task<string, number, unknown>, 'module' | 'ordinal' | 'run'> {
      readonly [brand]?: true
    }
    const run = (task: Elsewhere) => execute(task, texts)
    expectTypeOf<ReturnType<typeof run>>().toEqualTypeOf<Promise<Report<number, string>>>()
    // @ts-expect-error numbers are no strings
    const wrong = (task: Elsewhere) => execute(task, [1, 2])
    expectTypeOf(wrong).toBeFunction()
  })

  test('move() gives back what it was given', () => {
    expectTypeOf(move<Uint8Array>).returns.toEqualTypeOf<Uint8Array>()
  })
})
