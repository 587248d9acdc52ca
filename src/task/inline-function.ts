import { TaskLoadError } from '../errors.ts'
import type { TaskFunction } from '../types.ts'

/** An inline function as a module of its own, and what its errors say of what it cannot see there. */

const CURE = 'Put it into a module with defineTask(import.meta.url, …)'

/** What tools write into functions, of which the rest stands at the head of their file. */
const HELPERS = [
  // esbuild, and so tsx, around functions to keep their names (`keepNames`).
  { name: '__name', value: "(target, value) => Object.defineProperty(target, 'name', { value, configurable: true })" },
  // Vite, and so Vitest, in place of `import`.
  { name: '__vite_ssr_dynamic_import__', value: '(specifier) => import(specifier)' },
]

/** What its place is called in stacks, which would show all of the source otherwise. */
const PLACE = 'inline-function'

/**
 * The function of which `source` is the text: an expression, or a method in shorthand. A data: module needs no eval, is strict,
 * and sees nothing but the globals.
 *
 * @throws TaskLoadError when the source does not stand on its own.
 */
export async function loadInline(source: string): Promise<TaskFunction<unknown, unknown>> {
  const used = HELPERS.filter(({ name }) => source.includes(`${name}(`))
  const head = used.map(({ name, value }) => `const ${name} = ${value};\n`).join('')
  const toModule = (expression: string) =>
    `data:text/javascript,${encodeURIComponent(`${head}export default ${expression}\n//# sourceURL=${PLACE}`)}`
  let cause: unknown
  for (const expression of [`(${source})`, `Object.values({ ${source} })[0]`]) {
    try {
      const namespace = (await import(/* webpackIgnore: true */ toModule(expression))) as {
        default: TaskFunction<unknown, unknown>
      }
      return explainMissing(namespace.default)
    } catch (error) {
      cause ??= error
    }
  }
  throw new TaskLoadError(
    `Cannot send the inline function to a worker: expected source that stands on its own, got ${(cause as Error).message}. ${CURE}`,
    { cause },
  )
}

/** An inline function that asks for something outside itself gets an error that says what to do. */
function explainMissing(run: TaskFunction<unknown, unknown>): TaskFunction<unknown, unknown> {
  const explain = (error: unknown): never => {
    const message = error instanceof Error ? adviseOn(error) : undefined
    if (message !== undefined) retell(error as Error, message)
    throw error
  }
  return (item, context) => {
    try {
      const value = run(item, context)
      return value instanceof Promise ? value.catch(explain) : value
    } catch (error) {
      return explain(error)
    }
  }
}

/** What is to be said of it; undefined when it is none of ours, or was told already. */
function adviseOn(error: Error & { readonly code?: unknown }): string | undefined {
  const { name, message, code } = error
  if (message.includes('defineTask')) return undefined
  if (name === 'ReferenceError') return `${message}: ${adviseOnName(message)}`
  // Node shows the referrer, which is the whole source.
  const [, asked] = /^Failed to resolve module specifier "([^"]*)" from "data:/.exec(message) ?? []
  if (code !== 'ERR_UNSUPPORTED_RESOLVE_REQUEST' || asked === undefined) return undefined
  return `Cannot import '${asked}': expected a module of Node or a whole file: URL, got what counts from a folder, and an inline function, which is sent to the worker as source, lies in none. ${CURE}, or give the path of a module as the task`
}

function adviseOnName(message: string): string {
  if (!/^cov_\w+ is not defined/.test(message))
    return `an inline function is sent to the worker as source and sees nothing outside itself. ${CURE}, or hand it data by the 'shared' option`
  return `coverage (istanbul) put that into the inline function, which is sent to the worker as source and sees nothing outside itself. Leave its file out of the coverage, take the v8 provider, or put it into a module with defineTask(import.meta.url, …)`
}

/** Also in its stack, which begins with the message. */
function retell(error: Error, message: string): void {
  const frames = (error.stack ?? '').split('\n').filter((line) => line.startsWith('    at '))
  error.message = message
  error.stack = [`${error.name}: ${message}`, ...frames].join('\n')
}
