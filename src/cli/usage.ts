import type { Command, CommanderError } from 'commander'
import { type Explanation, USAGE } from './failure.ts'
import { isThere } from './task-path.ts'

/** What commander refused, in one sentence, with what to do. */
export function explainUsage(error: CommanderError, program: Command, argv: readonly string[]): Explanation {
  // Without a command commander has printed the help already.
  const sentence = error.code === 'commander.help' ? '' : error.message.replace(/^error: /, '').replaceAll('\n', ' ')
  const help = `See '${['pawl', ...namedCommand(program, argv), '--help'].join(' ')}'`
  const isGlob = error.code === 'commander.excessArguments' && isExpanded(argv)
  const advice = isGlob ? "If the shell made them of a glob, put it in quotes: --input '*.txt'" : help
  const message = sentence && `${sentence.replace(/\.$/, '')}. ${advice}`
  return { exitCode: USAGE, code: 'ERR_PAWL_INVALID_OPTION', message, isBug: false }
}

/** Whether the input is followed by further files, as a shell makes them of a glob. */
function isExpanded(argv: readonly string[]): boolean {
  if (!argv.includes('--input')) return false
  const given = argv.slice(argv.indexOf('--input') + 1)
  const end = given.findIndex((it) => it.startsWith('-'))
  const files = end < 0 ? given : given.slice(0, end)
  return files.length > 1 && files.every(isThere)
}

/** The names of the command that `argv` begins with, say `bench formats`. */
function namedCommand(program: Command, [name, ...rest]: readonly string[]): string[] {
  const command = program.commands.find((it) => it.name() === name)
  return command ? [command.name(), ...namedCommand(command, rest)] : []
}
