import type { Command } from 'commander'
import { InvalidOptionError } from '../errors.ts'
import { RUN_ID } from '../options/option-table.ts'
import { UsageError } from './failure.ts'
import { isThere } from './task-path.ts'

/** What is refused of the names and paths that a command was given, whatever the command. */

/** The flags that take a path or a name, and nothing that may be empty as JSON may. */
const NAMING = /<(file|dir|id)>$/

/**
 * Refuses a path or a name that is empty, as of a shell's variable that is not set: most of what takes a path would
 * take it for the working directory.
 *
 * @throws InvalidOptionError that names the flag or the argument as it was typed.
 */
export function refuseEmpty(command: Command): void {
  for (const [at, argument] of command.registeredArguments.entries()) {
    if (command.args[at] !== '') continue
    const expected = argument.name() === 'run' ? 'the name of a run' : 'a file'
    throw new InvalidOptionError(argument.name(), expected, '', { subject: `argument '${argument.name()}'` })
  }
  for (const option of command.options) {
    if (!NAMING.test(option.flags) || command.getOptionValue(option.attributeName()) !== '') continue
    throw new InvalidOptionError(`--${option.name()}`, option.flags.endsWith('<dir>') ? 'a directory' : 'a file', '')
  }
}

/**
 * Refuses a path that begins with `~/`, or `~bob/` where there is no directory of that name, which a shell leaves as it is in
 * quotes, as around a glob, and in `--checkpoint=~/runs`: all would go into a directory `~` in the working directory.
 *
 * @throws InvalidOptionError
 */
export function refuseHome(command: Command): void {
  for (const option of command.options) {
    const given: unknown = command.getOptionValue(option.attributeName())
    if (!NAMING.test(option.flags) || typeof given !== 'string') continue
    const [home, user] = /^~(?:([^/]+)(?=\/)|(?=\/|$))/.exec(given) ?? []
    if (home === undefined || (user !== undefined && isThere(home))) continue
    const path = user === undefined ? '"$HOME"' : `${user}'s home directory`
    const expected = `a path with ${path} for ${home}, which a shell leaves as it is in quotes and behind '=' (or './${given}' for what is called so)`
    throw new InvalidOptionError(`--${option.name()}`, expected, given)
  }
}

/** A flag behind `--run-id` means that the name was left out. */
export function parseRunId(text: string): string {
  if (RUN_ID.test(text) && !text.startsWith('-')) return text
  const expected = text.startsWith('-') ? "a name that does not begin with '-', as a flag does" : `a name that matches ${RUN_ID}`
  throw new InvalidOptionError('--run-id', expected, text)
}

/** Of two inputs commander takes the last, without a word of the items of the other. */
export function parseInput(text: string, earlier?: string): string {
  if (earlier === undefined) return text
  throw new UsageError(
    `Cannot use '--input' twice: expected one input, got '${earlier}' and '${text}'. For the items of both make one file of them`,
  )
}

/** Who writes `-` means stdout, as for `--input`, and is not to find a file of that name. */
export function parseOutput(text: string): string {
  if (text !== '-') return text
  const expected = "a file ('./-' for one of that name), or no --output for stdout, or /dev/stdout where a file is on record"
  throw new InvalidOptionError('--output', expected, text)
}
