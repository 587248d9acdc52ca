import { checkSize } from './check.ts'
import type { Log } from './store.ts'

/** What a store must be able to do with an object that grows. */
export interface LogTarget {
  writeAt(bytes: Uint8Array, position: number): Promise<void>
  sync(): Promise<void>
  confirm?(): Promise<void>
  close(): Promise<void>
}

/**
 * A log, empty at first, that writes to `target`. It refuses to grow past MAX_OBJECT_BYTES, and once a call has
 * rejected, or the log was closed, every later `write` and `sync` rejects with the same error: nothing can be made
 * durable behind a gap.
 */
export function logTo(target: LogTarget): Log {
  let size = 0
  let failure: Error | undefined

  async function unlessFailed(call: () => Promise<void>): Promise<void> {
    if (failure) throw failure
    try {
      await call()
    } catch (error) {
      failure = error as Error
      throw error
    }
  }

  return {
    write: (bytes) =>
      unlessFailed(async () => {
        const position = size
        checkSize(position + bytes.byteLength)
        size += bytes.byteLength
        await target.writeAt(bytes, position)
      }),
    sync: () => unlessFailed(() => target.sync()),
    confirm: () => unlessFailed(async () => target.confirm?.()),
    close: async () => {
      failure ??= new Error('Cannot write to the log: expected it to be open, got one that was closed')
      await target.close()
    },
  }
}
