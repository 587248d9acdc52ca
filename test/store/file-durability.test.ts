import * as fs from 'node:fs/promises'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { fileStore } from '../../src/store/file.ts'
import { temporaryDirectory } from './place.ts'

vi.mock('node:fs/promises', async (original) => {
  const actual = await original<typeof fs>()
  return { ...actual, link: vi.fn(actual.link), open: vi.fn(actual.open) }
})

const actual = await vi.importActual<typeof fs>('node:fs/promises')

const x = Buffer.from('x')

describe('fileStore() makes durable', () => {
  /** What is synced, linked and renamed, in order, with paths below `directory`. */
  function recorded(directory: string): string[] {
    const calls: string[] = []
    const name = (path: unknown) =>
      String(path)
        .slice(directory.length)
        .replace(/\.tmp-[\w-]+/, 'aside')
    vi.mocked(fs.open).mockImplementation(async (path, ...rest) => {
      const file = await actual.open(path, ...rest)
      for (const call of ['sync', 'datasync'] as const) {
        const run = file[call].bind(file)
        file[call] = async () => {
          await run()
          calls.push(`${call} ${name(path)}`)
        }
      }
      return file
    })
    vi.mocked(fs.link).mockImplementation(async (from, to) => {
      calls.push(`link ${name(from)} ${name(to)}`)
      await actual.link(from, to)
    })
    return calls
  }

  test('put() syncs the bytes, then links, then syncs every directory up to the first that was there', async () => {
    const directory = await temporaryDirectory()
    const calls = recorded(directory)
    await fileStore(join(directory, 'made/store')).put('run/k', x)
    expect(calls.slice(0, 2)).toEqual(['datasync /made/store/run/aside', 'link /made/store/run/aside /made/store/run/k'])
    expect(calls.slice(2).sort()).toEqual(['sync ', 'sync /made', 'sync /made/store', 'sync /made/store/run'])
  })

  test('put() syncs directories that another writer made, too: it may not have come to it', async () => {
    const directory = await temporaryDirectory()
    await mkdir(join(directory, 'store/run'), { recursive: true })
    const calls = recorded(directory)
    await fileStore(join(directory, 'store')).put('run/k', x)
    expect(calls.slice(2).sort()).toEqual(['sync ', 'sync /store', 'sync /store/run'])
  })

  test('and takes handles that cannot sync, as Yarn puts them in place of those of Node, by their number', async () => {
    const synced = vi.fn(() => {
      throw new Error('Method not implemented.')
    })
    vi.mocked(fs.open).mockImplementation(async (...args) =>
      Object.assign(await actual.open(...args), { sync: synced, datasync: synced }),
    )
    const store = fileStore(await temporaryDirectory())
    await store.put('run/k', x)
    const log = await store.append?.('run/log')
    await log?.write(x)
    await log?.sync()
    await log?.close()
    expect(synced).toHaveBeenCalled()
    expect((await store.list('run/')).map(({ key }) => key).sort()).toEqual(['run/k', 'run/log'])
  })

  test('put() with replace syncs the same', async () => {
    const directory = await temporaryDirectory()
    const calls = recorded(directory)
    await fileStore(join(directory, 'store')).put('k', x, { replace: true })
    expect(calls).toEqual(['datasync /store/aside', expect.anything(), expect.anything()])
    expect(calls.slice(1).sort()).toEqual(['sync ', 'sync /store'])
  })

  test('put() syncs directories that an earlier one made with durable: false', async () => {
    const directory = await temporaryDirectory()
    const store = fileStore(join(directory, 'made/by/store'))
    await store.put('run/a', x, { durable: false })
    const calls = recorded(directory)
    await store.put('run/b', x)
    expect(calls.slice(2).sort()).toEqual([
      ...['sync ', 'sync /made', 'sync /made/by', 'sync /made/by/store', 'sync /made/by/store/run'],
    ])
    calls.length = 0
    const log = await store.append?.('seg/log')
    await log?.sync()
    expect(calls).toContain('sync /made')
    await log?.close()
  })

  test('put() with durable: false syncs nothing', async () => {
    const directory = await temporaryDirectory()
    const calls = recorded(directory)
    await fileStore(directory).put('run/a', x, { durable: false })
    await fileStore(directory).put('run/a', x, { durable: false, replace: true })
    expect(calls).toEqual(['link /run/aside /run/a'])
  })

  test('append() syncs nothing; the first sync() syncs the bytes and then every directory, each other one the bytes', async () => {
    const directory = await temporaryDirectory()
    const calls = recorded(directory)
    const log = await fileStore(join(directory, 'store')).append?.('run/log')
    await log?.write(x)
    expect(calls).toEqual([])
    await log?.sync()
    expect(calls[0]).toBe('datasync /store/run/log')
    expect(calls.slice(1).sort()).toEqual(['sync ', 'sync /store', 'sync /store/run'])
    calls.length = 0
    await log?.write(x)
    await log?.sync()
    await log?.close()
    expect(calls).toEqual(['datasync /store/run/log'])
  })

  test('sync() syncs the bytes of an object that another left, and its name, and nothing where there is none', async () => {
    const directory = await temporaryDirectory()
    const store = join(directory, 'store')
    const log = await fileStore(store).append?.('run/log')
    await log?.write(x)
    await log?.close()
    const calls = recorded(directory)
    await fileStore(store).sync?.('run/log')
    await fileStore(store).sync?.('run/other')
    await fileStore(store).sync?.('other/log')
    expect(calls[0]).toBe('datasync /store/run/log')
    expect(calls.slice(1).sort()).toEqual(['sync ', 'sync /store', 'sync /store/run'])
  })
})
