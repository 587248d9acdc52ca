import { writeSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { type open, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { constants } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { fileStore } from '../../src/store/file.ts'
import { temporaryDirectory } from './place.ts'

vi.mock('node:fs/promises', async (original) => {
  const actual = await original<typeof fs>()
  return { ...actual, link: vi.fn(actual.link), open: vi.fn(actual.open), readdir: vi.fn(actual.readdir) }
})

vi.mock('node:fs', async (original) => {
  const actual = await original<typeof import('node:fs')>()
  return { ...actual, writeSync: vi.fn(actual.writeSync) }
})

const actual = await vi.importActual<typeof fs>('node:fs/promises')
const { writeSync: actualWrite } = await vi.importActual<typeof import('node:fs')>('node:fs')
const probe = await actual.open(import.meta.filename)
const FileHandle = Object.getPrototypeOf(probe) as fs.FileHandle
await probe.close()

afterEach(() => {
  vi.restoreAllMocks()
  vi.mocked(writeSync).mockReset().mockImplementation(actualWrite)
  vi.mocked(fs.link).mockReset().mockImplementation(actual.link)
  vi.mocked(fs.open).mockReset().mockImplementation(actual.open)
  vi.mocked(fs.readdir).mockReset().mockImplementation(actual.readdir)
})

const x = Buffer.from('x')
/** More than a log writes at once. */
const long = Buffer.alloc(5000, 'x')

/** What the next write of a log meets, short or long. */
const WRITES = [
  ['short', x, (error: Error) => vi.mocked(writeSync).mockImplementationOnce(() => raise(error))],
  ['long', long, (error: Error) => vi.spyOn(FileHandle, 'write').mockRejectedValueOnce(error)],
] as const

function raise(error: Error): never {
  throw error
}

function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}

describe('put() where link() is refused', () => {
  const refuse = (code: string) => vi.mocked(fs.link).mockImplementation(async () => Promise.reject(systemError(code)))

  test.each(['EPERM', 'EACCES', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV'])(
    'with %s still creates, and refuses a taken key',
    async (code) => {
      refuse(code)
      const directory = await temporaryDirectory()
      const store = fileStore(directory)
      await store.put('k', Buffer.from('first'))
      await expect(store.put('k', x)).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT' })
      expect(Buffer.from((await store.get('k')) ?? []).toString()).toBe('first')
      expect(await readdir(directory)).toEqual(['k'])
    },
  )

  test('by 16 writers at once has exactly one winner, and shows no empty object meanwhile', async () => {
    refuse('EPERM')
    const directory = await temporaryDirectory()
    let writing = true
    const seen = new Set<number | undefined>()
    const read = async () => {
      for (const store = fileStore(directory); writing; ) seen.add((await store.get('k'))?.length)
    }
    const reading = read()
    const tries = await Promise.allSettled(
      Array.from({ length: 16 }, (_, i) => fileStore(directory).put('k', new Uint8Array(9999).fill(i), { durable: false })),
    )
    writing = false
    await reading
    const winner = tries.findIndex((it) => it.status === 'fulfilled')
    expect(tries.filter((it) => it.status === 'fulfilled')).toHaveLength(1)
    expect(await fileStore(directory).get('k')).toEqual(new Uint8Array(9999).fill(winner))
    expect([...seen].filter((length) => length !== undefined && length !== 9999)).toEqual([])
    expect(await readdir(directory)).toEqual(['k'])
  })

  test('a claim in use is a conflict; one left by a crash is taken over', async () => {
    refuse('EPERM')
    const directory = await temporaryDirectory()
    const claim = join(directory, '.tmp-claim-k')
    await writeFile(claim, '')
    await expect(fileStore(directory).put('k', x)).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT' })
    expect(await readdir(directory)).toEqual(['.tmp-claim-k'])
    const old = new Date(Date.now() - 70_000)
    await utimes(claim, old, old)
    await fileStore(directory).put('k', x)
    expect(await readdir(directory)).toEqual(['k'])
  })

  test('with any other error rejects with it', async () => {
    refuse('ENOSPC')
    const directory = await temporaryDirectory()
    await expect(fileStore(directory).put('k', x)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(await readdir(directory)).toEqual([])
  })

  test('because the answer to the first link() got lost, as over NFS, is no conflict', async () => {
    vi.mocked(fs.link).mockImplementationOnce(async (from, to) => {
      await actual.link(from, to)
      throw systemError('EEXIST')
    })
    const directory = await temporaryDirectory()
    await fileStore(directory).put('k', x)
    expect(await readdir(directory)).toEqual(['k'])
    expect((await stat(join(directory, 'k'))).nlink).toBe(1)
  })
})

describe('put() that fails', () => {
  test.each([
    ['write', 'ENOSPC'],
    ['datasync', 'EIO'],
  ] as const)('in %s() rejects with the error of the system, leaves nothing, and can be tried again', async (call, code) => {
    const directory = await temporaryDirectory()
    const store = fileStore(directory)
    await store.put('old', x)
    for (const replace of [false, true]) {
      vi.spyOn(FileHandle, call).mockRejectedValueOnce(systemError(code))
      const key = replace ? 'old' : 'new'
      await expect(store.put(key, Buffer.from('longer'), { replace })).rejects.toMatchObject({ code })
      expect(await readdir(directory)).toEqual(['old'])
      expect(await store.get('old')).toEqual(new Uint8Array(x))
    }
    await store.put('new', x)
  })

  test('in opening a file (EMFILE) rejects with the error of the system', async () => {
    const store = fileStore(await temporaryDirectory())
    vi.mocked(fs.open).mockRejectedValueOnce(systemError('EMFILE'))
    await expect(store.put('k', x)).rejects.toMatchObject({ code: 'EMFILE' })
    vi.mocked(fs.open).mockRejectedValueOnce(systemError('EMFILE'))
    await expect(store.append?.('k')).rejects.toMatchObject({ code: 'EMFILE' })
    await store.put('k', x)
  })

  test('in syncing a directory takes a creation back, so that the same key can be tried again', async () => {
    const directory = await temporaryDirectory()
    const store = fileStore(directory)
    vi.spyOn(FileHandle, 'sync').mockRejectedValueOnce(systemError('EIO'))
    await expect(store.put('k', x)).rejects.toMatchObject({ code: 'EIO' })
    expect(await readdir(directory)).toEqual([])
    await store.put('k', x)
    vi.spyOn(FileHandle, 'sync').mockRejectedValueOnce(systemError('EIO'))
    await expect(store.put('k', x, { replace: true })).rejects.toMatchObject({ code: 'EIO' })
    expect(await store.get('k')).toEqual(new Uint8Array(x))
  })

  test('in syncing a directory is a failure of the log: its name is not safe', async () => {
    const log = await fileStore(await temporaryDirectory()).append?.('log')
    await log?.write(x)
    vi.spyOn(FileHandle, 'sync').mockRejectedValueOnce(systemError('EIO'))
    await expect(log?.sync()).rejects.toMatchObject({ code: 'EIO' })
    await expect(log?.sync()).rejects.toMatchObject({ code: 'EIO' })
    await log?.close()
  })

  test.each(['EINVAL', 'EPERM', 'ENOTSUP'])('is not what a file system is that syncs no directories (%s)', async (code) => {
    vi.spyOn(FileHandle, 'sync').mockRejectedValue(systemError(code))
    await fileStore(await temporaryDirectory()).put('k', x)
  })

  test('because its folder was removed meanwhile makes the folder again', async () => {
    const directory = await temporaryDirectory()
    const store = fileStore(directory)
    const vanish = async (...args: Parameters<typeof open>) => {
      await rm(join(directory, 'run'), { recursive: true })
      return actual.open(...args)
    }
    vi.mocked(fs.open).mockImplementationOnce(vanish)
    await store.put('run/seg/1', x)
    vi.mocked(fs.open).mockImplementationOnce(vanish)
    await (await store.append?.('run/seg/2'))?.close()
    expect(await readdir(join(directory, 'run/seg'))).toEqual(['2'])
    vi.mocked(fs.open).mockRejectedValue(systemError('ENOENT'))
    await expect(store.put('run/seg/3', x)).rejects.toMatchObject({ code: 'ENOENT' })
  })
})

describe('a directory that can never be made', () => {
  test.skipIf(process.platform !== 'linux').each([
    ['a file in its place', '/dev/null', '/dev/null'],
    ['a file above it', '/dev/null/store', '/dev/null'],
    ['a file system that takes none', '/proc/pawl/store', '/proc/pawl'],
  ])('because of %s is named, at once', async (_, directory, named) => {
    const store = fileStore(directory)
    const error = { code: 'ERR_PAWL_INVALID_OPTION', message: expect.stringContaining(`got '${named}'`) }
    if (directory === named) await expect(store.list('')).rejects.toMatchObject(error)
    else expect(await store.list('')).toEqual([])
    await expect(store.put('run/k', x)).rejects.toMatchObject(error)
    await expect(store.append?.('run/k')).rejects.toMatchObject(error)
  })
})

test('an error of the system that Node has no name for gets one', async () => {
  const { EDQUOT } = constants.errno
  const error = { errno: -EDQUOT, code: `Unknown system error -${EDQUOT}`, syscall: 'write' }
  const message = `${error.code}: ${error.code}, write`
  vi.spyOn(FileHandle, 'write').mockRejectedValue(Object.assign(new Error(message), error))
  const named = { code: 'EDQUOT', message: 'EDQUOT: disk quota exceeded, write' }
  const store = fileStore(await temporaryDirectory())
  await expect(store.put('k', x)).rejects.toMatchObject(named)
  // Of a synchronous call it says even less.
  const unknown = Object.assign(new Error('UNKNOWN: unknown error, write'), { ...error, code: 'UNKNOWN' })
  for (const [length, bytes, fail] of WRITES) {
    fail(length === 'short' ? unknown : Object.assign(new Error(message), error))
    await expect((await store.append?.(`l${bytes.length}`))?.write(bytes)).rejects.toMatchObject(named)
  }
})

describe('a log that failed', () => {
  async function opened() {
    const store = fileStore(await temporaryDirectory())
    const log = await store.append?.('k')
    if (!log) throw new Error('fileStore() has append()')
    await log.write(Buffer.from('kept'))
    await log.sync()
    return { store, log }
  }

  /** After `failure` the log asks the system for nothing more. */
  async function expectDead({ store, log }: Awaited<ReturnType<typeof opened>>, failure: object) {
    const later = [vi.spyOn(FileHandle, 'write'), vi.spyOn(FileHandle, 'datasync'), vi.mocked(writeSync)]
    for (const spy of later) spy.mockClear()
    await expect(log.write(x)).rejects.toMatchObject(failure)
    await expect(log.write(long)).rejects.toMatchObject(failure)
    await expect(log.sync()).rejects.toMatchObject(failure)
    for (const spy of later) expect(spy).not.toHaveBeenCalled()
    await log.close()
    expect(Buffer.from((await store.get('k')) ?? []).toString()).toMatch(/^kept/)
  }

  test.each(WRITES)('in a %s write rejects every call with the same error', async (_, bytes, fail) => {
    const { store, log } = await opened()
    const failure = systemError('ENOSPC')
    fail(failure)
    await expect(log.write(bytes)).rejects.toBe(failure)
    await expectDead({ store, log }, failure)
  })

  test('in datasync() rejects every call with the same error', async () => {
    const { store, log } = await opened()
    const failure = systemError('EIO')
    vi.spyOn(FileHandle, 'datasync').mockRejectedValueOnce(failure)
    await expect(log.sync()).rejects.toBe(failure)
    await expectDead({ store, log }, failure)
  })

  const CUT = [
    ['short', Buffer.from('four'), () => vi.mocked(writeSync).mockReturnValueOnce(2)],
    ['long', long, () => vi.spyOn(FileHandle, 'write').mockResolvedValueOnce({ bytesWritten: 2, buffer: '' })],
  ] as const

  test.each(CUT)('because a %s write was cut off rejects with what the system says of the rest', async (_, bytes, cut) => {
    const { log } = await opened()
    cut()
    vi.spyOn(FileHandle, 'write').mockRejectedValueOnce(systemError('ENOSPC'))
    await expect(log.write(bytes)).rejects.toMatchObject({ code: 'ENOSPC' })
    await expect(log.sync()).rejects.toMatchObject({ code: 'ENOSPC' })
    await log.close()
  })

  test.each(CUT)('because a %s write was cut off rejects also when the system then takes the rest', async (_, bytes, cut) => {
    const { log } = await opened()
    cut()
    await expect(log.write(bytes)).rejects.toMatchObject({
      code: 'EIO',
      message: expect.stringContaining(`expected ${bytes.length} bytes`),
    })
    await expect(log.sync()).rejects.toMatchObject({ code: 'EIO' })
    await log.close()
  })
})

describe('list() and get() while others work', () => {
  test('list() leaves out what vanishes between being seen and being looked at', async () => {
    const directory = await temporaryDirectory()
    const store = fileStore(directory)
    await store.put('run/here', x)
    vi.mocked(fs.readdir).mockImplementation((async (path: string) => [
      ...(await actual.readdir(path)),
      'gone',
    ]) as unknown as typeof readdir)
    expect((await store.list('')).map(({ key }) => key)).toEqual(['run/here'])
  })

  test('list() gives errors of the system as they are', async () => {
    vi.mocked(fs.readdir).mockRejectedValueOnce(systemError('EMFILE'))
    await expect(fileStore(await temporaryDirectory()).list('')).rejects.toMatchObject({ code: 'EMFILE' })
  })

  test('get() puts short reads together, and gives what there is of a file that was cut off meanwhile', async () => {
    const directory = await temporaryDirectory()
    await writeFile(join(directory, 'k'), 'a longer value')
    const read = FileHandle.read
    const bytewise = function (this: fs.FileHandle, bytes: Uint8Array, offset: number, _length: number, position: number) {
      return position < 8
        ? Reflect.apply(read, this, [bytes, offset, 1, position])
        : Promise.resolve({ bytesRead: 0, buffer: bytes })
    }
    vi.spyOn(FileHandle, 'read').mockImplementation(bytewise as unknown as typeof read)
    const store = fileStore(directory)
    expect(Buffer.from((await store.get('k', { start: 2, length: 4 })) ?? []).toString()).toBe('long')
    expect(Buffer.from((await store.get('k')) ?? []).toString()).toBe('a longer')
  })
})
