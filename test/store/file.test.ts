import { execFileSync } from 'node:child_process'
import {
  appendFile,
  copyFile,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join, relative } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { fileStore } from '../../src/store/file.ts'
import type { Log } from '../../src/store/store.ts'
import { temporaryDirectory } from './place.ts'
import { storeSuite } from './suite.ts'

storeSuite('fileStore()', async () => {
  const directory = join(await temporaryDirectory(), 'made', 'when', 'needed')
  return { open: () => fileStore(directory) }
})

const x = Buffer.from('x')

describe('fileStore()', () => {
  test.each([undefined, null, 5, '', {}, new URL('https://example.org/runs')])('is made for no %o', (directory) => {
    const refused = { code: 'ERR_PAWL_INVALID_OPTION', message: expect.stringContaining('expected a path, or a file: URL') }
    expect(() => fileStore(directory as string)).toThrow(expect.objectContaining(refused))
  })

  test('touches nothing until something is put', async () => {
    const directory = await temporaryDirectory()
    const store = fileStore(join(directory, 'store'))
    await store.get('a/b')
    await store.list('')
    await store.delete('a/b')
    expect(await readdir(directory)).toEqual([])
  })

  test('keeps an object in the file of its key; directories are 0700 and files 0600', async () => {
    const directory = join(await temporaryDirectory(), 'above', 'store')
    const store = fileStore(directory)
    await store.put('run/snap/1', x)
    await store.put('run/lease/1', x, { durable: false })
    await store.put('run/lease/1', x, { replace: true })
    await (await store.append?.('run/seg/1'))?.close()
    const modes = async (paths: string[]) =>
      Promise.all(paths.map(async (path) => (await lstat(join(directory, path))).mode & 0o777))
    expect(await modes(['..', '.', 'run', 'run/snap', 'run/lease', 'run/seg'])).toEqual(Array(6).fill(0o700))
    expect(await modes(['run/snap/1', 'run/lease/1', 'run/seg/1'])).toEqual(Array(3).fill(0o600))
    expect(await readFile(join(directory, 'run/snap/1'), 'utf8')).toBe('x')
  })

  test('needs no global crypto, which is another in some environments of tests, and none on Node 20 by a flag', async () => {
    const directory = await temporaryDirectory()
    vi.stubGlobal('crypto', undefined)
    try {
      await fileStore(directory).put('k', x)
    } finally {
      vi.unstubAllGlobals()
    }
    expect(await readdir(directory)).toEqual(['k'])
  })

  test('resolves a relative directory once, where it was made', async () => {
    const directory = await temporaryDirectory()
    const store = fileStore(relative(process.cwd(), directory))
    const before = process.cwd()
    process.chdir('/')
    try {
      await store.put('k', x)
    } finally {
      process.chdir(before)
    }
    expect(await readdir(directory)).toEqual(['k'])
  })

  test.each<[string, (path: string, aside: string) => Promise<unknown>]>([
    ['deleted', (path) => rm(path)],
    ['a copy', (path, aside) => copyFile(path, aside).then(() => rename(aside, path))],
    ['a folder', (path) => rm(path).then(() => mkdir(path))],
    ['a link to where it is now', (path, aside) => rename(path, aside).then(() => symlink(aside, path))],
    ['emptied', (path) => truncate(path)],
    ['cut', (path) => truncate(path, 1)],
  ])('a log refuses to sync and to confirm once its file is not where readers look for it: %s', async (_, change) => {
    const directory = await temporaryDirectory()
    for (const call of ['sync', 'confirm'] as const) {
      // Little is written at once, much by the thread pool.
      for (const next of [x, Buffer.alloc(10_000)]) {
        const name = `${call}-${next.length}`
        const log = (await fileStore(directory).append?.(name)) as Log
        await log.write(x)
        await log.sync()
        await log.write(x)
        await log[call]?.()
        await change(join(directory, name), join(directory, `${name}-aside`))
        await log.write(next)
        await expect(log[call]?.()).rejects.toMatchObject({ code: 'ENOENT' })
        await log.close()
      }
    }
  })

  test('a log goes on when its directory is moved and a link says where to', async () => {
    const directory = await temporaryDirectory()
    const root = join(directory, 'store')
    const log = (await fileStore(root).append?.('k')) as Log
    await rename(root, join(directory, 'moved'))
    await symlink('moved', root)
    await log.write(x)
    await log.sync()
    await log.confirm?.()
    await log.close()
    expect(await readFile(join(directory, 'moved/k'), 'utf8')).toBe('x')
  })

  test('leaves nothing aside: not after a put, a replacement, a conflict, nor 16 of them', async () => {
    const directory = await temporaryDirectory()
    const store = fileStore(directory)
    await store.put('run/1', x)
    await store.put('run/1', x, { replace: true })
    await Promise.allSettled(Array.from({ length: 16 }, () => store.put('run/1', x)))
    expect(await readdir(directory, { recursive: true })).toEqual(['run', 'run/1'])
  })

  test('removes what crashed writers left an hour ago, and nothing younger', async () => {
    const directory = await temporaryDirectory()
    await mkdir(join(directory, 'run'))
    const old = new Date(Date.now() - 3_700_000)
    for (const name of ['.tmp-old', '.tmp-young', 'object', '.other']) {
      await writeFile(join(directory, 'run', name), 'x')
      if (name !== '.tmp-young') await utimes(join(directory, 'run', name), old, old)
    }
    expect((await fileStore(directory).list('')).map(({ key }) => key)).toEqual(['run/object'])
    await fileStore(directory).put('run/new', x)
    expect((await readdir(join(directory, 'run'))).sort()).toEqual(['.other', '.tmp-young', 'new', 'object'])
  })

  test('removes folders with their last object, leftovers included, but never the directory itself', async () => {
    const directory = await temporaryDirectory()
    const store = fileStore(directory)
    for (const key of ['run/snap/1', 'run/snap/2', 'run/seg/1']) await store.put(key, x)
    const old = new Date(Date.now() - 3_700_000)
    await writeFile(join(directory, 'run/snap/.tmp-old'), 'x')
    await utimes(join(directory, 'run/snap/.tmp-old'), old, old)
    const other = fileStore(directory)
    await other.delete('run/snap/1')
    expect((await readdir(join(directory, 'run'))).sort()).toEqual(['seg', 'snap'])
    await other.delete('run/snap/2')
    expect(await readdir(join(directory, 'run'))).toEqual(['seg'])
    await other.delete('run/seg/1')
    expect(await readdir(directory)).toEqual([])
  })

  test('list() shows regular files with names that are keys, and nothing else', async () => {
    const directory = await temporaryDirectory()
    await fileStore(directory).put('run/object', x)
    await mkdir(join(directory, 'run/empty'))
    await mkdir(join(directory, '.hidden'))
    for (const name of ['.tmp-1', '.hidden/a', 'run/with space', 'run/ä', 'run/\u001b[31m', `run/${'x'.repeat(201)}`]) {
      await writeFile(join(directory, name), 'x')
    }
    await symlink('object', join(directory, 'run/link'))
    execFileSync('mkfifo', [join(directory, 'run/fifo')])
    expect(await fileStore(directory).list('')).toEqual([{ key: 'run/object', size: 1 }])
  })

  test('get() of a FIFO, a folder or a socket gives undefined and does not wait', async () => {
    const directory = await temporaryDirectory()
    await mkdir(join(directory, 'folder'))
    execFileSync('mkfifo', [join(directory, 'fifo')])
    const script = `require('net').createServer().listen(${JSON.stringify(join(directory, 'socket'))}, () => process.kill(process.pid, 'SIGKILL'))`
    expect(() => execFileSync(process.execPath, ['-e', script])).toThrow()
    expect((await lstat(join(directory, 'socket'))).isSocket()).toBe(true)
    for (const key of ['folder', 'fifo', 'socket']) expect(await fileStore(directory).get(key)).toBeUndefined()
  })

  test('get() reads no more than there is of a range, and refuses what is larger than an object can be', async () => {
    const directory = await temporaryDirectory()
    await writeFile(join(directory, 'huge'), 'begin')
    await truncate(join(directory, 'huge'), 2 ** 40)
    await appendFile(join(directory, 'huge'), 'end')
    const store = fileStore(directory)
    expect(Buffer.from((await store.get('huge', { start: 0, length: 5 })) ?? []).toString()).toBe('begin')
    const end = await store.get('huge', { start: 2 ** 40, length: Number.MAX_SAFE_INTEGER })
    expect(Buffer.from(end ?? []).toString()).toBe('end')
    expect(end?.buffer.byteLength).toBe(3)
    await expect(store.get('huge')).rejects.toMatchObject({ code: 'EFBIG' })
  })

  test('a key below an object is an error of the system, not a conflict', async () => {
    const store = fileStore(await temporaryDirectory())
    await store.put('a', x)
    await expect(store.put('a/b', x)).rejects.toMatchObject({ syscall: 'mkdir' })
    expect((await store.list('')).map(({ key }) => key)).toEqual(['a'])
  })
})

describe('fileStore() with symbolic links planted in it', () => {
  async function planted() {
    const place = await temporaryDirectory()
    const directory = join(place, 'store')
    const outside = join(place, 'outside')
    await mkdir(join(directory, 'run'), { recursive: true })
    await mkdir(outside)
    await writeFile(join(outside, 'secret'), 'secret')
    return { directory, outside, store: fileStore(directory) }
  }

  test('a link instead of a file: reads as absent, is neither deleted nor followed, and is replaced only by a replacement', async () => {
    const { directory, outside, store } = await planted()
    const link = join(directory, 'run/k')
    await symlink(join(outside, 'secret'), link)
    expect(await store.get('run/k')).toBeUndefined()
    expect(await store.list('')).toEqual([])
    await store.delete('run/k')
    await expect(store.put('run/k', x)).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT' })
    await expect(store.append?.('run/k')).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT' })
    expect((await lstat(link)).isSymbolicLink()).toBe(true)
    await store.put('run/k', x, { replace: true })
    expect((await lstat(link)).isFile()).toBe(true)
    expect(await readFile(join(outside, 'secret'), 'utf8')).toBe('secret')
  })

  test('a link to nothing is a conflict too, and nothing is made at its target', async () => {
    const { directory, outside, store } = await planted()
    await symlink(join(outside, 'made'), join(directory, 'run/k'))
    await expect(store.put('run/k', x)).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT' })
    await expect(store.append?.('run/k')).rejects.toMatchObject({ code: 'ERR_PAWL_STORE_CONFLICT' })
    expect(await readdir(outside)).toEqual(['secret'])
  })

  test.each(['run', 'run/seg'])(
    'a link instead of the folder %s: nothing is read, listed, deleted or written through it',
    async (folder) => {
      const { directory, outside, store } = await planted()
      await mkdir(join(outside, 'seg'))
      await writeFile(join(outside, 'seg/secret'), 'secret')
      if (folder === 'run')
        await fileStore(directory)
          .put('run/x', x)
          .then(() => store.delete('run/x'))
      await symlink(folder === 'run' ? outside : join(outside, 'seg'), join(directory, folder))
      expect(await store.get('run/seg/secret')).toBeUndefined()
      for (const prefix of ['', 'run/', 'run/seg/', 'run/seg/s']) expect(await store.list(prefix)).toEqual([])
      await store.delete('run/seg/secret')
      await expect(store.put('run/seg/new', x)).rejects.toMatchObject({ code: 'ELOOP' })
      await expect(store.put('run/seg/secret', x, { replace: true })).rejects.toMatchObject({ code: 'ELOOP' })
      await expect(store.append?.('run/seg/new')).rejects.toMatchObject({ code: 'ELOOP' })
      expect((await readdir(outside, { recursive: true })).sort()).toEqual(['secret', 'seg', 'seg/secret'])
      expect(await readFile(join(outside, 'seg/secret'), 'utf8')).toBe('secret')
    },
  )

  test('links that lead round in a circle end nothing', async () => {
    const { directory, store } = await planted()
    await symlink('..', join(directory, 'run/up'))
    await symlink('self', join(directory, 'run/self'))
    await store.put('run/k', x)
    expect((await store.list('')).map(({ key }) => key)).toEqual(['run/k'])
    expect(await store.get('run/self')).toBeUndefined()
  })

  test('the directory itself may be a link: that is the choice of whoever names it', async () => {
    const { directory, outside } = await planted()
    await symlink(outside, join(directory, 'linked'))
    await fileStore(join(directory, 'linked')).put('k', x)
    expect(await readFile(join(outside, 'k'), 'utf8')).toBe('x')
  })
})
