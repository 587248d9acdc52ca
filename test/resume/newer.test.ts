import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import { execute, inspectRun, listRuns, readResults, verifyRun } from 'pawl'
import { describe, expect, test } from 'vitest'
import { noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, interrupt, listenForWarnings, newPlace, range, read } from './place.ts'

const ITEMS = range(40)

/** Has a file of `folder` say that a newer pawl wrote it, as that would. */
function makeNewer(runs: string, runId: string, folder: 'run' | 'seg'): void {
  const [name = ''] = readdirSync(join(runs, runId, folder))
  const path = join(runs, runId, folder, name)
  const bytes = readFileSync(path)
  if (folder === 'run') return writeFileSync(path, bytes.toString().replace('"version": 1', '"version": 2'))
  if (name.endsWith('.msgpack')) {
    bytes.writeUInt16LE(99, 4)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 24)), 24)
    return writeFileSync(path, bytes)
  }
  const [header = '', ...lines] = bytes.toString().split('\n')
  const rest = header.slice('{"crc":"01234567'.length, -1).replace(/"pawl":\d+/, '"pawl":99')
  const sum = crc32(rest).toString(16).padStart(8, '0')
  writeFileSync(path, [`{"crc":"${sum}${rest}}`, ...lines].join('\n'))
}

/** Every file below a directory, with its bytes. */
function contentsOf(directory: string): [string, string][] {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
  return files.map(({ parentPath, name }) => [name, readFileSync(join(parentPath, name), 'latin1')])
}

describe.each([
  ['run', 'msgpack'],
  ['seg', 'msgpack'],
  ['seg', 'json'],
] as const)('a run with a file in %s/ that a newer pawl wrote: %s', (folder, format) => {
  test('is listed as one that cannot be read, and refused untouched', async () => {
    const { runs, starts } = newPlace()
    for (const runId of ['newer', 'other']) await execute(noted, ITEMS, { runId, checkpoint: { store: runs, format } })
    makeNewer(runs, 'newer', folder)
    const before = contentsOf(runs)
    const count = starts().length
    expect(await listRuns(runs)).toMatchObject([
      {
        runId: 'newer',
        status: 'partial',
        done: 0,
        total: undefined,
        unreadable: expect.stringMatching(/A newer pawl wrote it/),
      },
      { runId: 'other', status: 'complete', done: 40 },
    ])
    expect((await listRuns(runs))[1]).not.toHaveProperty('unreadable')
    for (const ask of [
      () => inspectRun(runs, 'newer'),
      () => verifyRun(runs, 'newer'),
      () => read(readResults(runs, 'newer')),
      () => execute(noted, ITEMS, { runId: 'newer', checkpoint: { store: runs, format } }),
    ])
      expect(await errorOf(ask())).toMatchObject({ code: 'ERR_PAWL_CHECKPOINT_VERSION' })
    expect(contentsOf(runs)).toEqual(before)
    expect(starts()).toHaveLength(count)
  })

  test('keeps none that is similar from beginning', async () => {
    const { runs } = newPlace()
    await interrupt(noted, ITEMS, { checkpoint: { store: runs, format } })
    const [runId = ''] = readdirSync(runs)
    makeNewer(runs, runId, folder)
    const { codes, on } = listenForWarnings()
    const { status } = await execute(noted, range(41), { checkpoint: { store: runs, format }, on })
    expect({ status, codes: codes() }).toEqual({ status: 'complete', codes: [] })
  })
})
