import { execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newDirectory } from './place.ts'

/** Stops after three of fifty items where it is told to; says what it came to on stdout. */
const PROGRAM = `
import { execute } from ${JSON.stringify(import.meta.resolve('pawl'))}
const [runs, runId, stops] = process.argv.slice(2)
const abort = new AbortController()
const warnings = []
let settled = 0
const on = {
  warning: (it) => warnings.push(it),
  outcome: () => stops && ++settled === 3 && abort.abort(new Error('enough')),
}
const given = { checkpoint: runs, on, signal: abort.signal, workers: 1, chunkSize: 1, ...(runId ? { runId } : {}) }
const say = ({ stats }, more) => console.log(JSON.stringify({ stats, warnings, ...more }))
await execute(new URL('./task.mjs', import.meta.url), Array.from({ length: 50 }, (_, n) => n), given).then(
  (report) => say(report, {}),
  (error) => say(error.report ?? {}, { code: error.code, message: error.message }),
)
`

/** A project, with a program and its task, and folders to run it from. */
function newProject() {
  const directory = newDirectory()
  const app = join(directory, 'srv/app')
  mkdirSync(join(app, 'src'), { recursive: true })
  mkdirSync(join(directory, 'etc'))
  const task = join(app, 'src/task.mjs')
  writeFileSync(task, 'export default (n) => n * 2')
  writeFileSync(join(app, 'src/main.mjs'), PROGRAM)
  const runs = join(directory, 'runs')
  const runIn = (cwd: string, runId = '', stops = '', program = join(app, 'src/main.mjs')) =>
    JSON.parse(execFileSync(process.execPath, [program, runs, runId, stops], { cwd: join(directory, cwd), encoding: 'utf8' }))
  return { directory, task, runIn }
}

const PLACES = ['srv/app/src', 'srv', '.', 'etc', 'srv/app']

describe('a program that is run from another directory than it was begun in', () => {
  test.each(PLACES)('goes on with its run where that has a name: %s', (place) => {
    const { runIn } = newProject()
    const begun = runIn('srv/app', 'run', 'stop')
    expect(begun).toMatchObject({ code: 'ERR_PAWL_ABORTED' })
    const { stats, warnings } = runIn(place, 'run')
    expect(warnings).toEqual([])
    expect(stats).toMatchObject({ restored: begun.stats.succeeded, dispatched: 50 - begun.stats.succeeded })
    // And once more from where it was begun.
    expect(runIn('srv/app', 'run').stats).toMatchObject({ restored: 50, dispatched: 0 })
  })

  test('is told of the run where that has none, and how to go on with it', () => {
    const { runIn } = newProject()
    expect(runIn('srv/app', '', 'stop')).toMatchObject({ code: 'ERR_PAWL_ABORTED' })
    const { warnings } = runIn('etc', '', 'stop')
    expect(warnings).toMatchObject([{ code: 'SIMILAR_RUN' }])
    const [{ message }] = warnings
    expect(message).toContain(
      "only the directory that the task's path counts from differs ('src/task.mjs' there, '../srv/app/src/task.mjs' here). To go on with it, run it from there, or give runId: 'task-",
    )
    const [, name] = /runId: '([^']+)'/.exec(message) ?? []
    expect(runIn('etc', name).stats.restored).toBeGreaterThan(0)
  })

  test('is refused where its task changed meanwhile, and told to go there', () => {
    const { runIn, task } = newProject()
    const begun = runIn('srv/app', 'run', 'stop')
    appendFileSync(task, '\n')
    const { code, message } = runIn('etc', 'run')
    expect(code).toBe('ERR_PAWL_CHECKPOINT_MISMATCH')
    expect(message).toMatch(/If both are one file, run it from the directory in which the run was begun.* To keep both, /)
    expect(runIn('srv/app', 'run')).toMatchObject({
      stats: { restored: begun.stats.succeeded },
      warnings: [{ code: 'TASK_CHANGED' }],
    })
  })

  test('is refused with a copy of the task, which may import other files than the task', () => {
    const { runIn, task, directory } = newProject()
    runIn('srv/app', 'run', 'stop')
    const copied = join(directory, 'etc/other')
    mkdirSync(copied)
    for (const name of ['task.mjs', 'main.mjs']) copyFileSync(join(dirname(task), name), join(copied, name))
    expect(runIn('etc', 'run', '', join(copied, 'main.mjs'))).toMatchObject({
      code: 'ERR_PAWL_CHECKPOINT_MISMATCH',
      message: expect.stringMatching(/'src\/task\.mjs#default', got 'other\/task\.mjs#default'/),
    })
  })
})
