import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { project } from './pawl.ts'

describe('pawl', () => {
  test('--version and --help print on stdout and exit 0', async () => {
    const { pawl } = project()
    expect(await pawl('--version')).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/), stderr: '' })
    const help = await pawl('--help')
    expect(help.code).toBe(0)
    for (const command of ['run', 'resume', 'list', 'inspect', 'failures', 'export', 'verify', 'prune', 'plan', 'bench']) {
      expect(help.stdout).toMatch(new RegExp(`^  ${command} `, 'm'))
    }
  })

  test('the help of a command says what is true of that command', async () => {
    const { pawl } = project()
    const help = async (command: string) => (await pawl(...command.split(' '), '--help')).stdout.replace(/\s+/g, ' ')
    const [run, resume, bench, prune] = await Promise.all(['run', 'resume', 'bench formats', 'prune'].map(help))
    expect(run).toContain('retries per item (default 0)')
    // Not given, a flag is as the last session had it.
    expect(resume).toContain('flags are those of its last session, but for the flags given now')
    expect(resume).not.toMatch(/\(default [^:]/)
    expect(bench).toContain('where every line is {"index","value"}, as in the output of \'pawl run\', what stands under value')
    for (const page of [run, resume, prune]) expect(page).toContain('a bare number is milliseconds')
  })

  test('help NAME tells the help of a command, also of run with a task of that name', async () => {
    const { pawl } = project()
    const [help, all, task] = await Promise.all([pawl('help', 'run'), pawl('help'), pawl('run', 'help', 'help')])
    expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: pawl run'), stderr: '' })
    expect(all).toMatchObject({ code: 0, stdout: expect.stringContaining('Usage: pawl'), stderr: '' })
    expect(task).toMatchObject({ code: 2, stderr: expect.stringContaining("required option '--input <file>'") })
  })

  test('without a command shows the help on stderr and exits 2', async () => {
    expect(await project().pawl()).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining('Usage: pawl') })
  })

  test.each([
    ['rum', "unknown command 'rum' (Did you mean run?)"],
    ['run t.js', "required option '--input <file>' not specified"],
    ['run --input a.jsonl', "missing required argument 'task'"],
    ['list --wat', "unknown option '--wat'. See 'pawl list --help'"],
    ['wat', "unknown command 'wat'. See 'pawl --help'"],
    ['help wat', "unknown command 'wat'. See 'pawl --help'"],
    ['bench help format', "unknown command 'format' (Did you mean formats?). See 'pawl bench --help'"],
    ['list extra', 'too many arguments'],
    ['run t.js --input a.jsonl bad.jsonl', "If the shell made them of a glob, put it in quotes: --input '*.txt'"],
    ['run --input a.jsonl bad.jsonl t.js', "If the shell made them of a glob, put it in quotes: --input '*.txt'"],
    ['run t.js more --input a.jsonl', "too many arguments for 'run'. Expected 1 argument but got 2. See 'pawl run --help'"],
    ['run t.js --input a.jsonl results.jsonl', "See 'pawl run --help'"],
    [
      'run t.js --input a.jsonl --input bad.jsonl',
      "Cannot use '--input' twice: expected one input, got 'a.jsonl' and 'bad.jsonl'",
    ],
    ['plan t.js --input a.jsonl --input a.jsonl', "Cannot use '--input' twice"],
    ['bench formats --input a.jsonl --input a.jsonl', "Cannot use '--input' twice"],
    ['plan t.js --input a.jsonl --retries no', "Cannot use option '--retries'"],
    ['plan t.js --input a.jsonl --no-checkpoint --checkpoint x', "Cannot use '--checkpoint' together with '--no-checkpoint'"],
    ['plan t.js --input same.jsonl --key id', 'not one for both item 0 (line 1) and item 1 (line 2)'],
    [
      'run t.js --input other.csv',
      "line 3: expected 1 field as in the first row, got 2. Commas part fields: the first row names one, 'a;b'",
    ],
    ['run t.js --input ~/*.txt', 'expected a path with "$HOME" for ~, which a shell leaves as it is in quotes and behind'],
    ['run t.js --input a.jsonl --output=~/out.jsonl', "(or './~/out.jsonl' for what is called so), got '~/out.jsonl'"],
    ['list --checkpoint=~/runs', "Cannot use option '--checkpoint'"],
    [
      'list --checkpoint=~bob/runs',
      "expected a path with bob's home directory for ~bob, which a shell leaves as it is in quotes",
    ],
    ['run t.js --input a.jsonl --worker 2', "unknown option '--worker' (Did you mean --workers?)"],
    ['run t.js --input a.jsonl --workers 0', "Cannot use option '--workers': expected an integer from 1 to 1024, got '0'"],
    ['run t.js --input a.jsonl --timeout soon', "Cannot use option '--timeout': expected a duration"],
    ['run t.js --input a.jsonl --run-id ../x', "Cannot use option '--run-id'"],
    [
      'run t.js --input a.jsonl --run-id --quiet',
      "option '--run-id': expected a name that does not begin with '-', as a flag does",
    ],
    [
      'run t.js --input a.jsonl --resume --overwrite',
      "Cannot use '--resume' together with '--overwrite': expected one of them, got both",
    ],
    ['run t.js --input a.jsonl --resume --no-checkpoint', "Cannot use '--resume' together with '--no-checkpoint'"],
    ['run t.js --input a.jsonl --no-checkpoint --checkpoint x', "Cannot use '--checkpoint' together with '--no-checkpoint'"],
    ['run t.js --input a.jsonl --checkpoint=x --no-checkpoint', "Cannot use '--checkpoint' together with '--no-checkpoint'"],
    ['run t.js --input - --resume', "Cannot use '--resume' for stdin without '--run-id'"],
    ['run t.js --input nothing.jsonl', "Cannot read input 'nothing.jsonl'"],
    ['run t.js --input .', "Cannot use input '.': expected a file or a glob such as './*', got a directory"],
    ['run t.js --input package.json', "Cannot use input 'package.json': expected a file that ends in one of"],
    ['run t.js --input package.json', `got '.json'. 'jq -c ".[]" package.json > package.jsonl' makes a line, and so an item, of`],
    ['run t.js --input access.log', "got '.log'. If it holds lines of text, name it, or a symbolic link to it, FILE.txt"],
    ['run t.js --input text.jsonl', "Lines of plain text are items in a FILE.txt; 'jq -R .' makes JSON of each"],
    ['run t.js --input a.jsonl --output nowhere/out.jsonl', "got no directory 'nowhere'. Make it first"],
    ['run t.js --input a.jsonl --output results/', "Cannot write output 'results/': expected a file, got a directory"],
    ['run t.js --input a.jsonl --output -', "Cannot use option '--output': expected a file"],
    ['resume nothing --output -', 'or no --output for stdout, or /dev/stdout where a file is on record'],
    ['export nothing --output -', "Cannot use option '--output': expected a file"],
    ['run t.js --input a.jsonl --checkpoint /dev/null', "Cannot use option '--checkpoint': expected a directory"],
    ['run nothing.js --input a.jsonl', "Cannot load task 'nothing.js'"],
    ['run t.js#nothing --input a.jsonl', 'Cannot load task'],
    ['run throws.js --input a.jsonl', 'Cannot load task'],
    ['run t.js --input spread.jsonl', '. An item has to be one line: \'jq -c ".[]"\' makes such lines of JSON'],
    ['run t.js --input a.jsonl --run-id none --resume', "Cannot find run 'none'"],
    ['run t.js --input same.jsonl --key id', 'not one for both item 0 (line 1) and item 1 (line 2)'],
    ['run t.js --input bad.jsonl', 'Cannot read bad.jsonl, line 2: expected a JSON value'],
    ['run t.js --input a.jsonl --key id', "Cannot use '--key id' for item 0 (line 1)"],
    ['run a.jsonl --input a.jsonl --no-checkpoint', 'A task is a module: .js, .mjs or .cjs'],
    ['run . --input a.jsonl', "Cannot load task '.'"],
    ['list --checkpoint file://runs', "Cannot use option '--checkpoint': expected a path, or a file: URL of a directory on this"],
    ['resume nothing', "Cannot find run 'nothing'"],
    ['run t.js --input a.jsonl --run-id no --resume --checkpoint other', "'pawl list --checkpoint other' shows what is there"],
    ['inspect nothing', "Cannot find run 'nothing': expected a run of this name in the store, got none. 'pawl list' shows"],
    ['inspect nothing --checkpoint other', "'pawl list --checkpoint other' shows what is there"],
    ['failures nothing', "Cannot find run 'nothing'"],
    ['export nothing', "Cannot find run 'nothing'"],
    ['verify nothing', "Cannot find run 'nothing'"],
    ['resume nothing --failed-only --skip-failed', "Cannot use '--failed-only' together with '--skip-failed'"],
    ['prune --older-than soon', "Cannot use option '--older-than': expected a duration"],
    ['bench formats --input nothing.jsonl', "Cannot read input 'nothing.jsonl'"],
  ])('%s is one sentence and exit code 2', async (args, sentence) => {
    const { pawl } = project({
      't.js': 'export default (item) => item.n * 2',
      'throws.js': 'throw new Error("at import")',
      'a.jsonl': '{"n":1}\n{"n":2}\n',
      'access.log': 'GET /\n',
      'text.jsonl': 'https://example.com/a\n',
      'spread.jsonl': '[\n1,\n2\n]\n',
      'same.jsonl': '{"id":1}\n{"id":1}\n',
      'bad.jsonl': '{"n":1}\n{bad\n',
      'other.csv': 'a;b\n1;2\n1,5;2\n',
    })
    const ended = await pawl(...args.split(' '))
    expect(ended).toMatchObject({ code: 2, stdout: '' })
    expect(ended.stderr).toContain(sentence)
    expect(ended.stderr).not.toMatch(/^\s+at /m)
    const json = await pawl(...args.split(' '), '--json')
    expect(json.code).toBe(2)
    expect(JSON.parse(json.stdout).error).toMatchObject({
      code: expect.stringMatching(/^ERR_PAWL_/),
      message: expect.stringContaining(sentence),
    })
  })

  test.each<[string[], string]>([
    [['run', '', '--input', 'a.jsonl'], "argument 'task': expected a file"],
    [['run', 't.js', '--input', ''], "option '--input': expected a file"],
    [['run', 't.js', '--input', 'a.jsonl', '--no-checkpoint', '--output', ''], "option '--output': expected a file"],
    [['run', 't.js', '--input', 'a.jsonl', '--checkpoint', ''], "option '--checkpoint': expected a directory"],
    [['run', 't.js', '--input', 'a.jsonl', '--checkpoint='], "option '--checkpoint': expected a directory"],
    [['run', 't.js', '--input', 'a.jsonl', '--run-id', ''], "option '--run-id': expected a name"],
    [['resume', ''], "argument 'run': expected the name of a run"],
    [['resume', 'none', '--task', ''], "option '--task': expected a file"],
    [['resume', 'none', '--output', ''], "option '--output': expected a file"],
    [['export', 'none', '--output', ''], "option '--output': expected a file"],
    [['plan', '', '--input', 'a.jsonl'], "argument 'task': expected a file"],
    [['bench', 'formats', '--input', ''], "option '--input': expected a file"],
    ...['resume none', 'list', 'inspect none', 'failures none', 'export none', 'verify none', 'prune'].map(
      (command): [string[], string] => [
        [...command.split(' '), '--checkpoint', ''],
        "option '--checkpoint': expected a directory",
      ],
    ),
  ])('%j is refused, since a name in it is empty, before anything runs', async (args, sentence) => {
    const { pawl, directory } = project({ 't.js': 'console.log("ran"); export default () => 1', 'a.jsonl': '1\n' })
    const { code, stdout, stderr } = await pawl(...args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(/^pawl: Cannot use .*\n$/)
    expect(stderr).toContain(`Cannot use ${sentence}`)
    expect(stderr).toMatch(/, got ''\n$/)
    expect(readdirSync(directory).sort()).toEqual(['a.jsonl', 'package.json', 't.js'])
  })

  test('a flag that is JSON may be an empty text', async () => {
    const { pawl } = project({ 't.js': 'export default () => 1', 'a.jsonl': '1\n' })
    const run = ['run', 't.js', '--input', 'a.jsonl', '--no-checkpoint', '--quiet']
    expect(await pawl(...run, '--config', '""')).toEqual({ code: 0, signal: null, stdout: '{"index":0,"value":1}\n', stderr: '' })
  })
})
