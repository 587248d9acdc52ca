/** What a system call says of a path where no object can be; ELOOP is a symbolic link, ENXIO a socket. */
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'])

/** The code of an error of the system, `''` when it has none. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}

/** For `catch`: undefined when there is nothing at the path; any other error is thrown again. */
export function ifAbsent(error: unknown): undefined {
  if (!ABSENT.has(codeOf(error))) throw error
}

/** An error with a code, like those of the system, for what the system does not refuse itself. */
export function systemError(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
