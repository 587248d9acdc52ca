// @ts-check
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'

const program = join(import.meta.dirname, 'tasks/one-run.mjs')
const run = promisify(execFile)

/**
 * A run of pawl in a process of its own, so that memory and what the planner learned are those of this run alone.
 *
 * @param {import('./tasks/one-run.mjs').Spec} spec
 * @returns {Promise<import('./tasks/one-run.mjs').Sample>}
 */
export async function oneRun(spec) {
  const { stdout } = await run(process.execPath, [program, JSON.stringify(spec)])
  return JSON.parse(stdout)
}
