import { checkKey, cutRange } from '../../src/store/check.ts'
import { logTo } from '../../src/store/log.ts'
import type { Log, Store } from '../../src/store/store.ts'
import type { Content, Disk } from './disk.ts'
import { type Ask, type LineOptions, openLine } from './line.ts'

export interface StoreOptions extends LineOptions {
  readonly disk: Disk
  readonly canGrow: boolean
}

export interface SimulatedStore extends Store {
  /** Calls that were not answered yet. */
  readonly pending: ReadonlySet<unknown>
  /** Keys of the claims that were put. */
  readonly claims: ReadonlySet<string>
}

/** The store as one process sees it. */
export function simulatedStore(options: StoreOptions): SimulatedStore {
  const { world, disk } = options
  const { ask, pending } = openLine(options)
  const claims = new Set<string>()
  return {
    pending,
    claims,
    get: async (key, range) => {
      checkKey(key)
      return ask(`get ${key}`, () => {
        const content = disk.read(key)
        if (!content) return undefined
        const { start, length } = cutRange(content.size, range)
        return new Uint8Array(content.bytes.subarray(start, start + length))
      })
    },
    put: async (key, bytes, { durable = true, replace = false } = {}) => {
      checkKey(key)
      const copy = Buffer.from(bytes)
      if (key.includes('/lease/')) claims.add(key)
      return ask(`put ${key} ${copy.length}${durable ? ' durable' : ''}`, () => disk.put(key, copy, replace, durable))
    },
    list: async (prefix) => {
      const before = new Set(disk.keys())
      return ask(`list ${prefix}`, () => {
        // What came or went while the list was made may be in it or not.
        const listed = disk.keys().filter((key) => before.has(key) || world.chance.is(0.5))
        return listed
          .filter((key) => key.startsWith(prefix))
          .sort()
          .map((key) => ({ key, size: disk.read(key)?.size ?? 0 }))
      })
    },
    sync: async (key) => {
      checkKey(key)
      return ask(`sync ${key}`, () => {
        const content = disk.read(key)
        if (content) disk.sync(key, content)
      })
    },
    delete: async (key) => {
      checkKey(key)
      return ask(`delete ${key}`, () => disk.delete(key))
    },
    ...(options.canGrow ? { append: (key: string) => append(key, options, ask) } : {}),
  }
}

async function append(key: string, { disk, world }: StoreOptions, ask: Ask): Promise<Log> {
  checkKey(key)
  const content = await ask(`append ${key}`, () => disk.create(key))
  return logTo({
    writeAt: (bytes, position) => {
      const copy = Buffer.from(bytes)
      const cut = () => disk.write(content, copy.subarray(0, world.chance.int(0, copy.length)), position)
      return ask(`write ${key} +${copy.length}`, () => disk.write(content, copy, position), { cutOff: cut, failed: cut })
    },
    sync: () => ask(`sync ${key}`, () => disk.sync(key, content), { failed: () => stick(content) }),
    close: () => ask(`close ${key}`, () => {}),
  })
}

function stick(content: Content): void {
  content.isStuck = true
}
