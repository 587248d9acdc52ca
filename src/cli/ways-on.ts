import type { Assignment } from './perform.ts'

/** Which ways on there are for a command. Messages are made for programs, and name the flags of `pawl run` beside their options. */

const KEEP_BOTH = "give this run another 'runId' (--run-id)"
const DISCARD = "use resume: 'fresh' (--overwrite)"

/** `message`, with the options of the API left out, and of `pawl resume`, which takes neither flag, with the commands that do. */
export function retell(message: string, { by, runId }: Pick<Assignment, 'by' | 'runId'>): string {
  if (by === 'run') return message.replace(KEEP_BOTH, 'give this run another --run-id').replace(DISCARD, 'use --overwrite')
  return message
    .replace(KEEP_BOTH, "'pawl run … --run-id NEW' begins another run")
    .replace(DISCARD, `'pawl run … --run-id ${runId} --overwrite' begins it anew`)
}

/** The same of an error, which of a run that is another one says first how to go on with the one on record. */
export function retellError(error: unknown, assignment: Assignment): unknown {
  if (!(error instanceof Error)) return error
  const { by, input } = assignment
  const part = 'part' in error ? error.part : undefined
  if (part === 'items' && input !== '-') addWay(error, `put ${input} back as it was`)
  if (part === 'task' && by === 'resume') addWay(error, 'give --task the one on record')
  error.message = retell(error.message, assignment)
  return error
}

function addWay(error: Error, way: string): void {
  error.message = error.message.replace(/\. To keep both, (?=.*$)/, `. To go on, ${way}; to keep both, `)
}
