import { Command, CommanderError, Option } from 'commander'
import { InvalidOptionError } from '../errors.ts'
import { pathOfDirectory } from '../store/directory.ts'
import { ownVersion } from '../version.ts'
import { parseInput, parseOutput, parseRunId, refuseEmpty, refuseHome } from './arguments.ts'
import { DURATION_FORM, parseDuration } from './duration.ts'
import { explain, OK, tell, UsageError } from './failure.ts'
import { FLAGS, type FlagName, RESULT_FLAGS, WORK_FLAGS } from './flags.ts'
import { INPUT_HELP } from './input.ts'
import { REFUSED } from './refused.ts'
import { print, printJson, stdout } from './terminal.ts'
import { explainUsage } from './usage.ts'
import { retell } from './ways-on.ts'

/** Runs the command line `argv` (without node and script) and resolves with the exit code; never rejects. */
export async function main(argv: readonly string[]): Promise<number> {
  let exitCode = OK
  const program = describeProgram((code) => {
    exitCode = code
  })
  try {
    await program.parseAsync(withoutHelp(program, argv), { from: 'user' })
    return exitCode
  } catch (error) {
    return tellError(error, program, argv)
  }
}

/** One sentence on stderr, with `--json` the same as an object on stdout. Gives the exit code. */
async function tellError(error: unknown, program: Command, argv: readonly string[]): Promise<number> {
  if (error instanceof CommanderError && error.exitCode === 0) return OK
  const explanation = error instanceof CommanderError ? explainUsage(error, program, argv) : explain(retell(error))
  const { exitCode, code, message } = explanation
  if (message !== '') tell(explanation)
  if (argv.includes('--json')) await printJson({ error: { code, message } }).catch(() => {}) // Stdout may be what the error is about.
  return exitCode
}

/**
 * Without `help` in front of a name that is no command's, which is refused by itself: there commander tells all of its help, and
 * not why.
 */
function withoutHelp({ commands }: Command, argv: readonly string[]): readonly string[] {
  const [name = '', ...rest] = argv
  const find = (wanted: string) => commands.find((it) => it.name() === wanted)
  if (name === 'help' && commands.length > 0)
    return rest.length === 0 || rest[0]?.startsWith('-') || find(rest[0] as string) ? argv : rest
  const command = find(name)
  return command ? [name, ...withoutHelp(command, rest)] : argv
}

const QUIET_HELP = 'no progress, and no word of what went as asked; warnings, and what was left undone, are told all the same'

const TIMES = '\nA TIME is 100ms, 30s, 5m, 2h or 7d; a bare number is milliseconds.'

/** Makes a command whose code is loaded when it is called. */
type Define = (
  parent: Command,
  usage: string,
  help: string,
  load: () => Promise<(...args: never[]) => Promise<number>>,
) => Command

function describeProgram(exitWith: (code: number) => void): Command {
  const program = createProgram()
  const toDirectory = (given: string) => given && pathOfDirectory(given) // An empty one is refused with all that is empty.
  const define: Define = (parent, usage, help, load) =>
    parent
      .command(usage)
      .description(help)
      .option('--checkpoint <dir>', 'where runs are recorded', toDirectory, '.pawl')
      .option('--json', 'print one JSON object on stdout')
      .action(async (...args: unknown[]) => {
        const call = (await load()) as unknown as (...given: unknown[]) => Promise<number>
        exitWith(await call(...args.slice(0, -1)))
      })
  // In the order of the help.
  addRun(program, define)
  addResume(program, define)
  addRecords(program, define)
  addMeasurements(program, define)
  return program
}

function createProgram(): Command {
  return new Command('pawl')
    .description('A parallel map that never loses finished work.')
    .version(ownVersion(), '-V, --version', 'print the version')
    .exitOverride()
    .hook('preAction', (_, command) => {
      refuseEmpty(command)
      refuseHome(command)
    })
    .configureOutput({
      writeOut: (text) => void print(text).catch(() => {}),
      writeErr: (text) => void (/^error: /.test(text) || process.stderr.write(text)),
      getOutHelpWidth: () => stdout().columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
    })
    .addHelpText(
      'after',
      '\nExit codes: 0 all settled, 1 too many failures or damage found, 2 usage or bad input, 75 run it again, 130/143 second SIGINT/SIGTERM\nWith each command, --help tells its flags.',
    )
}

function addRun(program: Command, define: Define): void {
  addRunFlags(
    define(
      program,
      'run <task>',
      'run TASK (file.js or file.js#name) once for every item of the input',
      async () => (await import('./run.ts')).run,
    ),
  )
}

function addRunFlags(run: Command): Command {
  run
    .requiredOption('--input <file>', INPUT_HELP, parseInput)
    .option(
      '--output <file>',
      'JSONL file for the results ({"index","value"} in input order; a failed item has no line), replaced whole when every item has settled, otherwise left alone; by default stdout, with --json nowhere',
      parseOutput,
    )
    .option('--no-checkpoint', 'record nothing')
    .addOption(
      new Option(
        '--run-id <id>',
        'name of the run (default: task and a hash of task and input path); stdin is recorded only with it',
      ).argParser(parseRunId),
    )
    .option('--resume', 'there has to be an earlier run to go on with')
    .option('--overwrite', 'discard the earlier run of this name')
  refuseBoth(run, 'checkpoint', 'no-checkpoint')
  return addFlags(run, [...WORK_FLAGS, ...RESULT_FLAGS]).option('--quiet', QUIET_HELP)
}

/** Of two flags for one thing commander takes the last, without a word of the other. */
function refuseBoth(command: Command, ...names: readonly [string, string]): void {
  const given = new Set<string>()
  for (const name of names) {
    command.on(`option:${name}`, () => {
      if (given.add(name).size < names.length) return
      throw new UsageError(
        `Cannot use '--${names[0]}' together with '--${names[1]}': expected one of them, got both: one says where to record the run, the other to record nothing`,
      )
    })
  }
}

function addResume(program: Command, define: Define): void {
  const resume = define(
    program,
    'resume <run>',
    'go on with a run; task, input, output and flags are those of its last session, but for the flags given now',
    async () => (await import('./resume.ts')).resume,
  )
    .option('--task <file>', 'the task, when it lies outside the current directory')
    .option('--failed-only', 'try the failed items again and nothing else')
    .option('--skip-failed', 'leave the failed items as they are')
    .option('--output <file>', 'JSONL file for the results, instead of the one the run was begun with', parseOutput)
  addFlags(resume, WORK_FLAGS, false).option('--quiet', QUIET_HELP)
  resume.addHelpText(
    'after',
    '\n--task, --shard, --time-limit, --failed-only, --skip-failed, --quiet and --json hold for this session only.\nThe other flags go on record, and hold until others are given.',
  )
  for (const notation of Object.keys(REFUSED)) resume.addOption(new Option(notation).hideHelp())
}

/** What tells of runs on record, and deletes them. */
function addRecords(program: Command, define: Define): void {
  define(
    program,
    'list',
    "table of all runs, as recorded; 'pawl verify RUN' tells whether a record can be read",
    async () => (await import('./list.ts')).list,
  )
  define(program, 'inspect <run>', 'all that is known of a run', async () => (await import('./inspect.ts')).inspect)
  define(
    program,
    'failures <run>',
    'the failed items of a run, each with its input and reason',
    async () => (await import('./failures.ts')).failures,
  )
  define(
    program,
    'export <run>',
    'the results of a run as JSONL, in input order',
    async () => (await import('./export.ts')).exportResults,
  ).option('--output <file>', 'file to write, replaced whole; by default stdout, with --json nowhere', parseOutput)
  define(
    program,
    'verify <run>',
    'check every byte of a run and say what is damaged (exit code 1)',
    async () => (await import('./verify.ts')).verify,
  )
  define(program, 'prune', 'delete runs that are complete, not live, and old', async () => (await import('./prune.ts')).prune)
    .addOption(
      new Option('--older-than <time>', 'last written longer ago than this').argParser(parseAge).default(30 * 86_400_000, '30d'),
    )
    .option('--dry-run', 'only say what would be deleted')
    .addHelpText('after', TIMES)
}

/** The flags of `run` that a plan depends on, by commander's names for them. */
const PLANNED = /^(input|checkpoint|json|workers|chunkSize|timeout|checkpointInterval|shard|key|seed)$/

function addMeasurements(program: Command, define: Define): void {
  const plan = define(
    program,
    'plan <task>',
    "run a few items and explain how 'pawl run' would do the work; nothing is recorded",
    async () => (await import('./plan.ts')).planRun,
  )
  for (const option of addRunFlags(plan).options) if (!PLANNED.test(option.attributeName())) option.hideHelp()
  plan.addHelpText('after', "\nThe other flags of 'pawl run' are taken, and change nothing: its line makes a plan as it is.")
  const bench = program.command('bench').description('measurements on your own data')
  define(
    bench,
    'formats',
    'save, load and size of your values as JSON and msgpack, each also with gzip; the values are the items of the input, or, where every line is {"index","value"}, as in the output of \'pawl run\', what stands under value',
    async () => (await import('./bench.ts')).benchFormats,
  ).requiredOption('--input <file>', INPUT_HELP, parseInput)
}

/** `isStandard`: what is not given has its default, not what is on record. */
function addFlags(command: Command, names: readonly FlagName[], isStandard = true): Command {
  for (const name of names) {
    const { notation, help, parse } = FLAGS[name]
    const option = new Option(notation, isStandard ? help : help.replace(/ \(default [^()]*\)$/, ''))
    command.addOption(option.isBoolean() ? option : option.argParser(parse))
  }
  return command.addHelpText('after', TIMES)
}

function parseAge(text: string): number {
  const age = parseDuration(text)
  if (age === undefined) throw new InvalidOptionError('--older-than', DURATION_FORM, text)
  return age
}
