import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { writeLines } from '../../src/cli/output.ts'
import { project } from './pawl.ts'

test('what ends the process while results are written, as a second signal does, leaves nothing beside the output', async () => {
  const { directory } = project()
  const leftovers = () => readdirSync(directory).filter((name) => name.endsWith('.tmp')).length
  const listeners = process.listeners('exit')
  const seen: number[] = []
  const lines = function* () {
    yield 'x'.repeat(100_000) // More than is gathered before it is written.
    seen.push(leftovers())
    for (const listener of process.listeners('exit')) if (!listeners.includes(listener)) listener(143)
    seen.push(leftovers())
  }
  await expect(writeLines(join(directory, 'out.jsonl'), lines())).rejects.toMatchObject({ code: 'ENOENT' })
  expect(seen).toEqual([1, 0])
  expect(process.listeners('exit')).toEqual(listeners)
})
