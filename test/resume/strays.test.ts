import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deleteRun, execute, inspectRun, listRuns, readResults, verifyRun } from 'pawl'
import { describe, expect, test } from 'vitest'
import { noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, interrupt, listenForWarnings, newPlace, range, read } from './place.ts'

const ITEMS = range(40)

/** Names that a store has for files that somebody may put among those of a run. */
const STRAYS = ['run/notes.json', 'seg/foo.txt', 'seg/foo.json', 'seg/notes-1.msgpack', 'snap/a.json.gz', 'lease/README', 'todo']

describe('files in the folder of a run that pawl did not make', () => {
  test.each(['msgpack', 'json'] as const)('are told as such, harm nothing, and stay: %s', async (format) => {
    const { runs, starts } = newPlace()
    const options = { runId: 'run', checkpoint: { store: runs, format, keep: 0 } }
    await interrupt(noted, ITEMS, options)
    const details = await inspectRun(runs, 'run')
    const [segment = ''] = readdirSync(join(runs, 'run/seg'))
    const put = [...STRAYS, 'seg/.DS_Store', `seg/${segment}~`, `seg/${segment}.bak`, `seg/copy-of-${segment}`]
    for (const folder of ['snap', 'lease']) mkdirSync(join(runs, 'run', folder), { recursive: true })
    for (const name of put.slice(0, -1)) writeFileSync(join(runs, 'run', name), 'not a file of a run\n')
    copyFileSync(join(runs, 'run/seg', segment), join(runs, 'run', `seg/copy-of-${segment}`))
    const told = [...STRAYS, `seg/${segment}.bak`, `seg/copy-of-${segment}`].sort()

    expect(await verifyRun(runs, 'run')).toEqual({ ok: true, damaged: [], ignored: told })
    expect(await inspectRun(runs, 'run')).toMatchObject({ files: details.files, formats: [format], damaged: 0 })
    const before = starts().length
    const { warnings, on } = listenForWarnings()
    const report = await execute(noted, ITEMS, { ...options, on })
    expect(report).toMatchObject({ status: 'complete', stats: { damaged: 0, dispatched: 40 - details.done } })
    expect({ warnings, started: starts().length - before }).toEqual({ warnings: [], started: 40 - details.done })
    expect(await read(readResults(runs, 'run'))).toHaveLength(40)
    expect(await verifyRun(runs, 'run')).toEqual({ ok: true, damaged: [], ignored: told })
    for (const name of put) expect(existsSync(join(runs, 'run', name)), name).toBe(true)
  })

  test('are no run, and not deleted as one', async () => {
    const { runs } = newPlace()
    mkdirSync(join(runs, 'src/run'), { recursive: true })
    mkdirSync(join(runs, 'src/seg'), { recursive: true })
    for (const name of ['src/run/loop.ts', 'src/run/package.json', 'src/seg/a-0.json']) writeFileSync(join(runs, name), '{}')
    expect(await listRuns(runs)).toEqual([])
    for (const ask of [inspectRun, verifyRun, deleteRun])
      expect(await errorOf(ask(runs, 'src'))).toMatchObject({ code: 'ERR_PAWL_RUN_NOT_FOUND' })
    expect(readdirSync(join(runs, 'src'), { recursive: true })).toHaveLength(5)
    const { status } = await execute(noted, ITEMS, { runId: 'src', checkpoint: runs })
    expect(status).toBe('complete')
    expect(await listRuns(runs)).toMatchObject([{ runId: 'src', status: 'complete' }])
  })
})
