import { fileURLToPath } from 'node:url'
import { toProjectPath } from './task-path.ts'

/** `    at name (file:///a/b.js:1:2)`, also without name and brackets; within `eval` there is a `), ` in it. */
const FRAME = /^\s*at (?:(?<name>.+?) \()?(?<file>(?:file:\/\/)?\/(?:(?!\), ).)*?)(?<place>:\d+:\d+)\)?$/

/** Where pawl itself lies, which need not be below node_modules. */
const OWN = new URL('..', import.meta.url).href

/**
 * The first place in the stack of `error`, or of what caused it, that is neither in a package nor in pawl nor in Node:
 * `parse (src/parse.js:3:9)`. Undefined when there is none.
 */
export function findOwnLine(error: Error): string | undefined {
  for (let it: unknown = error, depth = 0; it instanceof Error && depth < 10; it = it.cause, depth++) {
    for (const line of (it.stack ?? '').split('\n')) {
      const { name, file, place } = FRAME.exec(line)?.groups ?? {}
      if (file === undefined || file.includes('/node_modules/') || file.startsWith(OWN)) continue
      const where = `${toProjectPath(toPath(file))}${place}`
      return name === undefined ? where : `${name} (${where})`
    }
  }
  return undefined
}

function toPath(file: string): string {
  try {
    return file.startsWith('file:') ? fileURLToPath(file) : file
  } catch {
    return file // Nobody says who wrote the record.
  }
}
