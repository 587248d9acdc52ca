import { isIndex } from './array-key.ts'

/** How a path through a value is written (`tags[3].get("x").y`), and what lies at its end. */

/** The step from an object, or an array, to what it has under `key`. */
export function stepTo(key: string, isElement: boolean): string {
  if (isElement && isIndex(key)) return `[${key}]`
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
}

/** The step to the value that a map has under `key`, its entry `at`. */
export function stepInto(key: unknown, at: number): string {
  if (typeof key === 'string') return `.get(${JSON.stringify(key)})`
  return typeof key === 'number' ? `.get(${key})` : `.entries[${at}]`
}

/** The end of a sentence that says what was found: `` at result.x``, or nothing where it is all of the result. */
export function sayPlace(path: string): string {
  return path === '' ? '' : ` at result${/^\[/.test(path) ? '' : '.'}${path}`
}

export function withArticle(name: string): string {
  return `${/^([AEIO]|U(?!int|RL))/i.test(name) ? 'an' : 'a'} ${name}`
}
