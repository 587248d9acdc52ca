import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { deleteRun, execute, fileStore, inspectRun, listRuns, readResults, verifyRun } from 'pawl'
import { expect, test } from 'vitest'
import { runProgram } from '../fixtures/program.ts'
import { newDirectory } from '../resume/place.ts'

test('a directory may be a file: URL, or the string of one, wherever one is taken', async () => {
  const path = join(newDirectory(), 'a run')
  const url = pathToFileURL(path)
  const options = { runId: 'run', mode: 'inline' } as const
  const double = (n: number) => n * 2
  for (const [at, checkpoint] of [url, url.href, { store: url }, fileStore(url), path].entries()) {
    const { stats } = await execute(double, [1, 2], { ...options, checkpoint })
    expect(stats.restored).toBe(at === 0 ? 0 : 2)
  }
  expect(await listRuns(url)).toMatchObject([{ runId: 'run', status: 'complete' }])
  expect(await inspectRun(url, 'run')).toMatchObject({ done: 2 })
  expect(await verifyRun(url, 'run')).toEqual({ ok: true, damaged: [] })
  const values: unknown[] = []
  for await (const outcome of readResults(url, 'run')) if (outcome.status === 'fulfilled') values.push(outcome.value)
  expect(values).toEqual([2, 4])
  await expect(inspectRun(url, 'other')).rejects.toMatchObject({ message: expect.stringContaining(path) })
  await deleteRun(url, 'run')
  expect(await listRuns(path)).toEqual([])
})

test('a URL that is no file is refused', async () => {
  const url = new URL('https://example.org/runs')
  await expect(execute((n: number) => n, [1], { checkpoint: url })).rejects.toMatchObject({ option: 'checkpoint' })
  await expect(execute((n: number) => n, [1], { checkpoint: { store: url } })).rejects.toMatchObject({
    option: 'checkpoint.store',
  })
  await expect(listRuns(url)).rejects.toMatchObject({ code: 'ERR_PAWL_INVALID_OPTION', option: 'store' })
})

test('where the working directory was deleted, what counts from it is refused with a code of its own', async () => {
  const { json, stderr } = await runProgram('deleted-directory.mjs')
  expect(stderr).toBe('')
  const [option, task] = ['ERR_PAWL_INVALID_OPTION', 'ERR_PAWL_TASK_LOAD']
  expect(json).toEqual({ codes: [option, option, task, option] })
})

test('a URL of a file elsewhere is refused as an option, not as a fault', async () => {
  const message = "expected a path, or a file: URL of a directory on this machine, got 'file://runs"
  for (const url of ['file://runs', new URL('file://runs/a'), 'file:///a%2Fb']) {
    const refusal = { code: 'ERR_PAWL_INVALID_OPTION', option: 'checkpoint' }
    await expect(execute((n: number) => n, [1], { checkpoint: url })).rejects.toMatchObject(refusal)
    await expect(execute((n: number) => n, [1], { checkpoint: { store: url } })).rejects.toMatchObject(refusal)
    await expect(listRuns(url)).rejects.toMatchObject(refusal)
  }
  expect(() => fileStore('file://runs')).toThrow(message)
})
