import { constants } from 'node:os'

/** What a system call says of a path where no object can be; ELOOP is a symbolic link, ENXIO a socket. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'])

/** The code of an error of the system, `''` when it has none. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? ''
}

/** For `catch`: undefined when there is nothing at the path; any other error is thrown again. */
export function ifAbsent(error: unknown): undefined {
  if (!ABSENT.has(codeOf(error))) throw error
}

/** An error with a code, like those of the system, for what the system does not refuse itself. */
export function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

/** What libuv has no name for, and people meet: a full quota, and what a server of files that was restarted says. */
const UNNAMED: Readonly<Record<string, string>> = { EDQUOT: 'disk quota exceeded', ESTALE: 'stale file handle' }

/** What Node's permission model says of what it was not told to allow. */
export const DENIED = 'ERR_ACCESS_DENIED'

/** The flags that allow it, by what its errors call them. */
const ALLOWING: Readonly<Record<string, string>> = {
  FileSystemRead: '--allow-fs-read',
  FileSystemWrite: '--allow-fs-write',
  ChildProcess: '--allow-child-process',
  WorkerThreads: '--allow-worker',
}

/**
 * Rejects as `call` does, and with a code and a sentence where Node has neither (`Unknown system error -122`; of synchronous
 * calls `UNKNOWN`), or with one that names no path (of its permission model).
 */
export async function withNamedErrors<V>(call: () => Promise<V>): Promise<V> {
  try {
    return await call()
  } catch (error) {
    throw nameError(error)
  }
}

/** The error, with such a code and sentence where it lacks them. */
export function nameError(error: unknown): unknown {
  const { code, errno, message = '' } = Object(error) as NodeJS.ErrnoException
  if (error instanceof Error && code === DENIED) return nameDenied(error)
  if (!(error instanceof Error) || errno === undefined || !/^(Unknown system error|UNKNOWN$)/.test(code ?? '')) return error
  const name = Object.keys(UNNAMED).find((known) => constants.errno[known as keyof typeof constants.errno] === -errno)
  if (name === undefined) return error
  return Object.assign(error, { code: name, message: message.replace(/^[^:]*: [^,]*/, `${name}: ${UNNAMED[name]}`) })
}

function nameDenied(error: Error & { permission?: string; resource?: string }): Error {
  const { permission = '', resource } = error
  const flag = ALLOWING[permission]
  if (flag === undefined) return error
  const what = resource ? ` of ${resource}` : ''
  return Object.assign(error, { message: `${DENIED}: Node's permission model was given no ${flag}${what}` })
}
