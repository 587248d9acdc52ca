import { listOptions } from '../options/option-table.ts'
import type { Report } from '../types.ts'
import { keepWords, type Mention, type Words, wordsIn, wordsInList } from '../wording.ts'
import type { Assignment } from './assignment.ts'
import type { Input } from './input.ts'
import { directoryFlag, runCommand } from './next-steps.ts'

/** What messages say to whoever typed a command: the flags for the options, and the ways on that the command has. */

/** What is known of the command. */
export interface Command extends Partial<Pick<Assignment, 'by' | 'runId' | 'directory' | 'input' | 'flags'>> {
  readonly kind?: Input['kind']
  /** Where item `index` stands in the input. */
  placeOf?(index: number): string
}

/** `words` for the command line. */
export function sayHere(words: Words, command: Command = {}): string {
  return typeof words === 'string' ? words : words.say((mention) => nameOf(mention, command))
}

/** The error, its message for the command line. `more` is put behind it. */
export function retell(error: unknown, command: Command = {}, more = ''): unknown {
  if (!(error instanceof Error)) return error
  const words = wordsIn(error)
  const message = sayHere(words, command) + more
  if (message !== error.message) {
    if (error.stack) error.stack = error.stack.replace(error.message, () => message)
    error.message = message
  } else if (typeof words === 'string') return error
  // Of the same text, too: who retells it next may know less of the command.
  return keepWords(error, message)
}

/** The report as `--json` shows it: without results, and what it says told as on stderr. */
export function retellReport({ results, ...rest }: Report, command: Command): object {
  const { plan, failures } = rest
  return {
    ...rest,
    failures: failures.map((failure) => ({ ...failure, reason: retell(failure.reason, command) })),
    plan: { ...plan, warnings: wordsInList(plan.warnings).map((words) => sayHere(words, command)) },
  }
}

function nameOf(mention: Mention, command: Command): string {
  const { by, runId, directory, flags } = command
  switch (mention.about) {
    case 'option': {
      const flag = FLAG_OF.get(mention.option)
      if (flag === undefined) return mention.says
      return mention.value === undefined ? flag : `${flag} ${mention.value}`
    }
    case 'subject': {
      if (mention.option === 'key' && typeof flags?.key === 'string') return `'--key ${flags.key}'`
      return `option '${FLAG_OF.get(mention.option) ?? mention.option}'`
    }
    case 'item':
      return command.placeOf ? `${mention.says} (${command.placeOf(mention.index)})` : mention.says
    case 'contents':
      return isFile(command.kind) ? `bytes of ${command.input} (their digest; spaces and what ends lines count)` : mention.says
    case 'source':
      return command.input === '-' ? 'To go on, give it the same stdin as before; to keep both, ' : mention.says
    case 'both runs':
      return leadTo(mention.part, command)
    case 'that run':
      return goOnWith(mention, command)
    case 'another run':
      return by === 'resume' ? "'pawl run … --run-id NEW' begins another run" : 'give this run another --run-id'
    case 'discard':
      return by === 'resume' ? `'pawl run … --run-id ${runId} --overwrite' begins it anew` : 'use --overwrite'
    case 'place':
      return by === 'run'
        ? 'give --checkpoint a directory that this user may write, or record nothing with --no-checkpoint'
        : mention.says
    case 'report':
      return '' // Of what finished the next steps tell.
    case 'runs':
      return `'pawl list${directoryFlag({ directory })}'`
    case 'inline':
      return '' // The command line runs nothing there.
    case 'memory':
      return 'there is enough memory for it'
    case 'results':
      return "run it in parts, each with --shard K/N; 'pawl export' then writes all results, and holds few of them at a time"
  }
}

/** Of other input it is what comes of it that counts, not bytes. */
function isFile(kind: Input['kind'] | undefined): boolean {
  return kind !== undefined && kind !== 'glob' && kind !== 'stdin'
}

/** The flags by the names of their options, without what stands behind them; of one that is Node's to set, how to set it. */
const FLAG_OF = new Map([
  ...listOptions().flatMap(({ name, spec }) =>
    spec.flag === undefined ? [] : [[name, spec.flag.split(' ')[0] as string] as const],
  ),
  ['resourceLimits.maxOldGenerationSizeMb', 'NODE_OPTIONS=--max-old-space-size=MB'] as const,
])

/** Of a run that is another one, how to go on with the one on record comes first. */
function leadTo(part: string, { by, input, kind }: Command): string {
  if (part === 'items' && kind === 'glob')
    return `To go on, have ${input} match the files that it did; where files come and go, begin another run with --key .; to keep both, `
  if (part === 'items' && input !== undefined && input !== '-') return `To go on, put ${input} back as it was; to keep both, `
  if (part === 'task' && by === 'resume') return 'To go on, give --task the one on record; to keep both, '
  return 'To keep both, '
}

/** Only of a run that a command began all that it was given is on record. */
function goOnWith({ runId, isCommand, isSame }: Mention & { readonly about: 'that run' }, { directory }: Command): string {
  const resume = `'${runCommand('resume', runId, directoryFlag({ directory }))}'`
  if (isCommand) return isSame ? `give --run-id ${runId}, or use ${resume}` : `use ${resume}`
  return isSame ? `give --run-id ${runId}` : 'run the program that began it'
}
