import { constants, openSync, statSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, RunAbortedError } from '../errors.ts'
import { codeOf } from '../store/errno.ts'
import { fill } from '../store/file.ts'

/**
 * Named pipes. To open one waits for its other end, and to read or write it for what that does: a thread in such a call keeps the
 * process from ending, whatever signal it was sent. Here the event loop waits.
 */

/** What is read from its beginning to its end. */
interface Reading {
  /** Fills `bytes` with what comes next. How many there were: fewer at the end. */
  fill(bytes: Uint8Array): Promise<number>
  close(): Promise<void>
}

/** Opens the file, or the named pipe, at `path`. Once `signal` aborts, a pipe gives nothing more: to read it rejects. */
export async function openToRead(path: string, signal?: AbortSignal): Promise<Reading> {
  if (statSync(path).isFIFO()) return readPipe(path, signal)
  const file = await open(path)
  return { fill: (bytes) => fill(file, bytes), close: () => file.close() }
}

function readPipe(path: string, signal?: AbortSignal): Reading {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const socket = new Socket({ fd, readable: true, writable: false, ...(signal ? { signal } : {}) })
  const parts: AsyncIterator<Uint8Array, undefined> = socket[Symbol.asyncIterator]()
  let rest: Uint8Array = new Uint8Array()
  return {
    fill: async (bytes) => {
      let filled = 0
      while (filled < bytes.length) {
        if (rest.length === 0) {
          const { value } = await parts.next()
          if (value === undefined) break
          rest = value
        }
        const part = rest.subarray(0, bytes.length - filled)
        bytes.set(part, filled)
        filled += part.length
        rest = rest.subarray(part.length)
      }
      return filled
    },
    close: async () => void socket.destroy(),
  }
}

/** Between two looks whether somebody reads a pipe, in ms: the system tells nobody of it. */
const LOOK_MS = 50

/**
 * Opens the named pipe at `path` once somebody reads it.
 *
 * @throws RunAbortedError once `signal` aborts, where nobody does.
 */
export async function openToWrite(path: string, signal?: AbortSignal): Promise<Socket> {
  for (;;) {
    try {
      const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
      return new Socket({ fd, readable: false, writable: true })
    } catch (error) {
      if (codeOf(error) !== 'ENXIO') throw error
    }
    await sleep(LOOK_MS, undefined, signal && { signal }).catch(() => {
      const why = `expected somebody to read it, got a request to stop (${messageOf(signal?.reason)})`
      throw new RunAbortedError(`Cannot write output '${path}': ${why}`)
    })
  }
}
