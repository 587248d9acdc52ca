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

/**
 * Rejects as `call` does, and with a code and a sentence where Node has neither (`Unknown system error -122`; of synchronous
 * calls `UNKNOWN`).
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
  if (!(error instanceof Error) || errno === undefined || !/^(Unknown system error|UNKNOWN$)/.test(code ?? '')) return error
  const name = Object.keys(UNNAMED).find((known) => constants.errno[known as keyof typeof constants.errno] === -errno)
  if (name === undefined) return error
  return Object.assign(error, { code: name, message: message.replace(/^[^:]*: [^,]*/, `${name}: ${UNNAMED[name]}`) })
}
