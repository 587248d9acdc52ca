import { describe, expect, test } from 'vitest'
import { reviveError } from '../../src/checkpoint/format/error-record.ts'
import type { RunIdentity } from '../../src/checkpoint/identity/fingerprint.ts'
import { explainMismatch, listDifferences, otherEnd, otherSource, tooShort } from '../../src/checkpoint/identity/mismatch.ts'
import { runCommand, summarize } from '../../src/cli/next-steps.ts'
import { type Command, retell, retellReport, sayHere } from '../../src/cli/ways-on.ts'
import { createDrain } from '../../src/drain.ts'
import { stillbornError } from '../../src/engine/run-errors.ts'
import { InvalidOptionError, messageOf, RunNotFoundError, TaskTimeoutError } from '../../src/errors.ts'
import { createKeys } from '../../src/items/keys.ts'
import { warnOfSize } from '../../src/run/result-size.ts'
import type { Report } from '../../src/types.ts'
import { option, type Words, wordedList, wording } from '../../src/wording.ts'

const RUN: Command = { by: 'run', runId: 'r', directory: '.pawl', input: 'in.jsonl', flags: {} }
const RESUME: Command = { ...RUN, by: 'resume' }

const IDENTITY: RunIdentity = {
  task: { module: 'a.js', export: 'default' },
  items: { kind: 'array', count: 3, digest: 'd' },
  config: null,
  key: 'index',
  seed: 0,
  shared: null,
}
const mismatch = (given: Partial<RunIdentity>) => explainMismatch('r', IDENTITY, { ...IDENTITY, ...given })
const keyed: RunIdentity = { ...IDENTITY, key: 'id', items: { kind: 'keyed' } }

/** What an error says on the command line. */
const saying = (error: Error, command: Command) => messageOf(retell(error, command))

const BOTH_OF_RUN = 'give this run another --run-id; to discard what is recorded, use --overwrite'
const BOTH_OF_RESUME =
  "'pawl run … --run-id NEW' begins another run; to discard what is recorded, 'pawl run … --run-id r --overwrite' begins it anew"

describe('retell()', () => {
  test.each<[string, () => Error, string, string]>([
    [
      'other items',
      () => mismatch({ items: { kind: 'array', count: 4, digest: 'd' } }),
      `: expected the same number of items as recorded, 3, got 4. To go on, put in.jsonl back as it was; to keep both, ${BOTH_OF_RUN}`,
      `: expected the same number of items as recorded, 3, got 4. To go on, put in.jsonl back as it was; to keep both, ${BOTH_OF_RESUME}`,
    ],
    [
      'another task',
      () => mismatch({ task: { module: 'b.js', export: 'default' } }),
      `: expected the same task as recorded, 'a.js#default', got 'b.js#default'. To keep both, ${BOTH_OF_RUN}`,
      `: expected the same task as recorded, 'a.js#default', got 'b.js#default'. To go on, give --task the one on record; to keep both, ${BOTH_OF_RESUME}`,
    ],
    [
      'another config',
      () => mismatch({ config: 1 }),
      `: expected the same --config as recorded, none, got 1. To keep both, ${BOTH_OF_RUN}`,
      `: expected the same --config as recorded, none, got 1. To keep both, ${BOTH_OF_RESUME}`,
    ],
    [
      'a key where there was none',
      () => explainMismatch('r', IDENTITY, keyed),
      `: expected items told apart by their index, without --key, as recorded, got items told apart by --key 'id'. Leave out --key; to keep both, ${BOTH_OF_RUN}`,
      `: expected items told apart by their index, without --key, as recorded, got items told apart by --key 'id'. Leave out --key; to keep both, ${BOTH_OF_RESUME}`,
    ],
    [
      'no key where there was one',
      () => explainMismatch('r', keyed, IDENTITY),
      `: expected items told apart by --key 'id', as recorded, got items told apart by their index, without --key. Give --key as before; to keep both, ${BOTH_OF_RUN}`,
      `: expected items told apart by --key 'id', as recorded, got items told apart by their index, without --key. Give --key as before; to keep both, ${BOTH_OF_RESUME}`,
    ],
  ])('%s: ways on that the command has', (_, make, ofRun, ofResume) => {
    expect(saying(make(), RUN)).toBe(`Cannot resume run 'r'${ofRun}`)
    expect(saying(make(), RESUME)).toBe(`Cannot resume run 'r'${ofResume}`)
  })

  test.each([
    ['other items', () => otherSource('r', 0, 3, 'a', 'b')],
    ['another end', () => otherEnd('r', 3, 2, true)],
    ['too few', () => tooShort('r', 3, 2)],
  ])('of stdin with %s, to give it the same comes first', (_, make) => {
    expect(make().message).toMatch(/\. Give it the same source as before; to keep both, give this run another 'runId'/)
    expect(saying(make(), { ...RUN, input: '-' })).toMatch(
      /\. To go on, give it the same stdin as before; to keep both, give this run another --run-id; [^']*--overwrite$/,
    )
    expect(saying(make(), { ...RESUME, input: '-', directory: 'runs' })).toMatch(
      /\. To go on, give it the same stdin as before; to keep both, 'pawl run/,
    )
  })

  test('of a glob that matches other files, how a run takes files that come and go', () => {
    const error = mismatch({ items: { kind: 'array', count: 4, digest: 'd' } })
    expect(saying(error, { ...RUN, input: '*.md', kind: 'glob' })).toMatch(
      /, got 4\. To go on, have \*\.md match the files that it did; where files come and go, begin another run with --key \.; to keep both, give/,
    )
  })

  test('names flags for options, and places for items', () => {
    expect(saying(new TaskTimeoutError(3, '3', 50), RUN)).toMatch(/\. Raise --timeout if they need longer$/)
    expect(saying(new InvalidOptionError('checkpoint', 'a directory', 'x'), {})).toBe(
      "Cannot use option '--checkpoint': expected a directory, got 'x'",
    )
    expect(saying(new InvalidOptionError('--older-than', 'a duration', 'x'), {})).toMatch(/^Cannot use option '--older-than': /)
    const keyOf = createKeys<string>((item) => item)
    keyOf('a', 0)
    const twice = () => errorOf(() => keyOf('a', 1))
    expect(twice().message).toContain(
      "option 'key': expected a key of its own for each item, not one for both item 0 and item 1,",
    )
    const command = { ...RUN, flags: { key: 'id' }, placeOf: (index: number) => `line ${index + 1}` }
    expect(saying(twice(), command)).toBe(
      "Cannot use '--key id': expected a key of its own for each item, not one for both item 0 (line 1) and item 1 (line 2), got 'a'",
    )
  })

  test('names flags for the options in reasons on record', () => {
    const message =
      "got no more heap (2 times, and maxCrashes is 2). Give workers more heap by 'resourceLimits.maxOldGenerationSizeMb', perhaps"
    const error = reviveError({ message, fields: { code: 'ERR_PAWL_WORKER_CRASH' } })
    expect(error.message).toBe(message)
    expect(saying(error, RUN)).toBe(
      'got no more heap (2 times, and --max-crashes is 2). Give workers more heap by NODE_OPTIONS=--max-old-space-size=MB, perhaps',
    )
  })

  test('leaves out the report that a program has in hand, and limits that a command cannot set', () => {
    const drain = createDrain(() => {})
    drain.begin(new Error('SIGTERM'))
    expect(saying(drain.error() as Error, RUN)).toBe(
      'Cannot finish the run: expected every item to settle, got a request to stop (SIGTERM)',
    )
    expect(saying(stillbornError(new Error('no'), 2), RUN)).toMatch(/is imported, and whether there is enough memory for it$/)
  })

  test('names the list of runs that the command looked into', () => {
    expect(saying(new RunNotFoundError('r'), { directory: 'runs' })).toMatch(
      /, got none\. 'pawl list --checkpoint runs' shows what is there$/,
    )
    expect(saying(new RunNotFoundError('r'), { directory: 'my runs' })).toMatch(/'pawl list --checkpoint "my runs"' shows what/)
    expect(new RunNotFoundError('r', 'my runs').message).toMatch(/'pawl list --checkpoint "my runs"' shows what/)
    expect(saying(new RunNotFoundError('r'), { directory: '.pawl' })).toMatch(/\. 'pawl list' shows what is there$/)
    expect(new RunNotFoundError('r', '.pawl').message).toMatch(/\. 'pawl list' shows what is there$/)
  })

  test('is done once: what was told of one command stays so', () => {
    const error = retell(mismatch({ config: 1 }), RESUME, '. More')
    const told = messageOf(error)
    expect(told).toMatch(/begins it anew\. More$/)
    expect(messageOf(retell(error, RUN))).toBe(told)
    const missing = retell(new RunNotFoundError('r', 'runs'), { directory: 'runs' })
    expect(messageOf(retell(missing, {}))).toMatch(/'pawl list --checkpoint runs' shows/)
    expect(retell('no error', RUN)).toBe('no error')
    expect(messageOf(retell(new DOMException('its message is fixed'), RUN))).toBe('its message is fixed')
  })
})

describe('sayHere()', () => {
  test('names the flags of what differs between two runs, but for what has none', () => {
    const words = listDifferences(IDENTITY, { ...IDENTITY, config: 1, seed: 2, shared: 'x' }).map((it) => it.words)
    expect(words.map(String)).toEqual(["'config'", "'seed'", "'shared' (its digest)"])
    expect(words.map((it) => sayHere(it))).toEqual(['--config', '--seed', "'shared' (its digest)"])
  })

  test('has a way for results that do not fit into memory', () => {
    let told: Words = ''
    warnOfSize(['x'.repeat(1000)], 1e12, (words) => {
      told = words
    })
    expect(String(told)).toMatch(/: use collect: false with a checkpoint and read them from the store, or stream\(\)$/)
    expect(sayHere(told)).toMatch(/ GB\): run it in parts, each with --shard K\/N; 'pawl export' then writes all results/)
  })
})

function errorOf(run: () => unknown): Error {
  try {
    run()
  } catch (error) {
    return error as Error
  }
  throw new Error('it threw nothing')
}

test('retellReport() leaves out the results, and says what is in plan and failures as stderr does', () => {
  const warnings = wordedList([wording`Give ${option('maxCrashes')}`])
  const failure = { index: 3, reason: new TaskTimeoutError(3, '3', 50) }
  const report = { runId: 'r', results: [1], failures: [failure], plan: { warnings } } as unknown as Report
  const { failures, ...rest } = retellReport(report, RUN) as Report
  expect(rest).toEqual({ runId: 'r', plan: { warnings: ['Give --max-crashes'] } })
  expect(failures[0]?.reason.message).toMatch(/ Raise --timeout if they need longer$/)
  expect(failures[0]?.reason.stack).toContain(' Raise --timeout if they need longer\n')
})

test('runCommand() puts a name that a program gave, and that looks like a flag, where none is looked for', () => {
  expect(runCommand('failures', '-r', ' --checkpoint runs')).toBe('pawl failures --checkpoint runs -- -r')
})

test('summarize() tells the time of the process, reading the input included', () => {
  const stats = { items: 3, succeeded: 3, failed: 0, restored: 0, wallTime: 86_400_000 }
  expect(summarize({ runId: 'r', stats } as Report)).toMatch(/^run r: 3 items, 0 restored, 0 failed, [\d.]+(ms|s|m \d\ds)$/)
})
