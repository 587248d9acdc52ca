import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { fileStore } from '../../src/store/file.ts'
import { temporaryDirectory } from './place.ts'

const child = join(import.meta.dirname, 'kill.child.mjs')
const built = new URL('../../build/store/file.js', import.meta.url)

/** What the writer puts as its `i`-th object. */
function objectOf(i: number): Buffer {
  return Buffer.alloc(50_000 + ((i * 77_777) % 400_000), i)
}

/** Starts a writer, kills it when it has put `puts` objects, and gives the keys it said it had put. */
async function killAfter(puts: number, directory: string, round: number): Promise<string[]> {
  const writer = spawn(process.execPath, [child, built.href, directory, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  writer.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (said.split('\n').length > puts) writer.kill('SIGKILL')
  })
  const [, signal] = await once(writer, 'close')
  expect(signal).toBe('SIGKILL')
  return said.split('\n').slice(0, -1)
}

test('a writer killed in the middle of its puts leaves whole objects, all that it had said, and nothing else', async () => {
  const directory = await temporaryDirectory()
  const said: string[] = []
  for (let round = 0; round < 12; round++) said.push(...(await killAfter(1 + round * 3, directory, round)))

  const store = fileStore(directory)
  const listed = (await store.list('')).map(({ key }) => key)
  expect(said.filter((key) => !listed.includes(key))).toEqual([])
  for (const key of listed) {
    const bytes = (await store.get(key)) ?? new Uint8Array()
    const i = Number(/seg\/.*-(\d+)$/.exec(key)?.[1] ?? bytes[0])
    expect(Buffer.compare(bytes, objectOf(i)), key).toBe(0)
  }
  const aside = (await readdir(join(directory, 'run'), { recursive: true })).filter((name) => name.includes('.tmp-'))
  expect(aside.length, 'no writer was killed in the middle of a put').toBeGreaterThan(0)
})
