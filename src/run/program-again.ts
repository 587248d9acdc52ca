/**
 * What a worker that imports the program's own file, or one that calls `execute`, since the task is in it, does besides; `workers`:
 * how many there are by now.
 */
export function describeProgramAgain(workers: number): string {
  return (
    `The program itself runs again in each worker (${workers} by now), up to where it calls execute(): its task is in its own file, or in one that calls execute() as well, which workers import. ` +
    "What it does before that call happens as often. Run the program's part under `if (isMainThread)` from 'node:worker_threads' (or, in its own file and where Node has it, `if (import.meta.main)`), or move the task into a module of its own"
  )
}
