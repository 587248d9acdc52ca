import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { parseDuration } from '../../src/cli/duration.ts'
import { AGAIN, FAILED, USAGE } from '../../src/cli/failure.ts'

const EXAMPLES = join(import.meta.dirname, '../../examples/schedulers')
const PAWL = join(import.meta.dirname, '../../dist/cli/main.js')
const JOB = join(EXAMPLES, 'kubernetes-job.yaml')
const DEFINITION = join(EXAMPLES, 'aws-batch-job-definition.json')
const SCRIPT = join(EXAMPLES, 'slurm.sh')
const SHARDS = 8

const [job, claim] = parseAllDocuments(readFileSync(JOB, 'utf8')).map((document) => {
  expect([...document.errors, ...document.warnings]).toEqual([])
  return document.toJS()
})
const definition = JSON.parse(readFileSync(DEFINITION, 'utf8'))
const script = readFileSync(SCRIPT, 'utf8')
const pod = job.spec.template.spec
const [container] = pod.containers

/** The value of a flag in a command, in milliseconds. */
const durationOf = (args: readonly string[], flag: string) =>
  parseDuration(args.find((it) => it.startsWith(`${flag}=`))?.slice(flag.length + 1) ?? '')

/** The command of the SLURM script, without what comes before `run`. */
const slurmArgs = (/pawl (run[^&]*)&/.exec(script)?.[1] ?? '').split(/[\s\\]+/).filter(Boolean)

const call = (tool: string, args: string[], input = '') => spawnSync(tool, args, { encoding: 'utf8', input })
const isThere = (tool: string, ...args: string[]) => call(tool, args).status === 0
const hasKubectl = isThere('kubectl', 'version', '--client')
const hasAws = isThere('aws', '--version')

/** A directory with a task, and items that each know their place. */
function project(count: number): string {
  const directory = mkdtempSync(join(tmpdir(), 'pawl-schedulers-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  for (const folder of ['tasks', 'data', 'node_modules/.bin']) mkdirSync(join(directory, folder), { recursive: true })
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}')
  writeFileSync(join(directory, 'tasks/census.js'), 'export default ({ n }) => n * 2\n')
  writeFileSync(join(directory, 'data/items.jsonl'), Array.from({ length: count }, (_, n) => `{"n":${n}}\n`).join(''))
  return directory
}

describe.each<[string, readonly string[], (index: number) => NodeJS.ProcessEnv]>([
  ['kubernetes-job.yaml', container.args, (index) => ({ ...envOf(container.env), JOB_COMPLETION_INDEX: String(index) })],
  [
    'aws-batch-job-definition.json',
    definition.containerProperties.command.slice(1),
    (index) => ({ AWS_BATCH_JOB_ARRAY_INDEX: String(index), AWS_BATCH_JOB_ARRAY_SIZE: String(SHARDS) }),
  ],
  [
    'slurm.sh',
    slurmArgs,
    (index) => ({
      SLURM_ARRAY_TASK_ID: String(index),
      SLURM_ARRAY_TASK_MIN: '0',
      SLURM_ARRAY_TASK_STEP: '1',
      SLURM_ARRAY_TASK_COUNT: String(SHARDS),
    }),
  ],
])('the command of %s', (_, args, envAt) => {
  test('does every item once when all tasks of the job run it, and export has all results', async () => {
    const directory = project(100)
    const here = args.map((it) => it.replace('=/data/', '=data/'))
    const sessions = await Promise.all(
      Array.from({ length: SHARDS }, async (_, index) => {
        const env = { ...process.env, ...envAt(index) }
        const { stdout } = await promisify(execFile)(process.execPath, [PAWL, ...here], { cwd: directory, env })
        return JSON.parse(stdout)
      }),
    )
    expect(sessions.map(({ status }) => status)).toEqual(new Array(SHARDS).fill('complete'))
    expect(sessions.reduce((sum, { stats }) => sum + stats.succeeded, 0)).toBe(100)
    const exported = ['export', 'census', '--checkpoint=data/runs', '--output=results.jsonl']
    await promisify(execFile)(process.execPath, [PAWL, ...exported], { cwd: directory })
    const lines = readFileSync(join(directory, 'results.jsonl'), 'utf8').trim().split('\n')
    expect(lines.map((line) => JSON.parse(line))).toEqual(
      Array.from({ length: 100 }, (_, index) => ({ index, value: index * 2 })),
    )
  })
})

describe('kubernetes-job.yaml', () => {
  test('tells every pod how many there are', () => {
    expect(job.spec).toMatchObject({ completionMode: 'Indexed', completions: SHARDS })
    expect(envOf(container.env)).toEqual({ PAWL_SHARD_COUNT: String(job.spec.completions) })
  })

  test('tells the exit codes apart', () => {
    const rules: { action: string; onExitCodes?: { values: number[]; containerName: string } }[] = job.spec.podFailurePolicy.rules
    const actions = rules.flatMap(({ action, onExitCodes }) => onExitCodes?.values.map((code) => [code, action]) ?? [])
    expect(Object.fromEntries(actions)).toEqual({ [AGAIN]: 'Ignore', [FAILED]: 'FailIndex', [USAGE]: 'FailJob' })
    const names = rules.flatMap(({ onExitCodes }) => onExitCodes?.containerName ?? [])
    expect(new Set(names)).toEqual(new Set([container.name]))
    // What the API server asks for where these rules are used.
    expect(pod.restartPolicy).toBe('Never')
    expect(job.spec.maxFailedIndexes).toBeLessThanOrEqual(job.spec.completions)
    expect(job.spec.podReplacementPolicy).toBe('Failed')
  })

  test('leaves a drain the time it takes', () => {
    expect(durationOf(container.args, '--drain-timeout')).toBeLessThan(pod.terminationGracePeriodSeconds * 1000)
  })

  test('mounts the claim that it makes, where the command looks for it', () => {
    expect(pod.volumes[0].persistentVolumeClaim.claimName).toBe(claim.metadata.name)
    expect(container.volumeMounts[0]).toEqual({ name: pod.volumes[0].name, mountPath: '/data' })
  })

  test.skipIf(!hasKubectl)('holds nothing that Kubernetes does not know (skipped without kubectl)', () => {
    // To change an image, kubectl reads the job into its own types, and drops what these have no field for.
    const args = ['set', 'image', '--local', '-f', '-', `${container.name}=other`, '-o', 'json']
    const { stdout, stderr } = call('kubectl', args, JSON.stringify(job))
    expect(stderr).toBe('')
    const expected = structuredClone(job)
    expected.spec.template.spec.containers[0].image = 'other'
    expect(JSON.parse(stdout)).toMatchObject(expected)
  })
})

describe('aws-batch-job-definition.json', () => {
  test('tells the exit codes apart', () => {
    const rules: { onExitCode?: string; onStatusReason?: string; action: string }[] = definition.retryStrategy.evaluateOnExit
    const actions = rules.flatMap(({ onExitCode, action }) => (onExitCode ? [[onExitCode, action]] : []))
    expect(Object.fromEntries(actions)).toEqual({ [AGAIN]: 'RETRY', [FAILED]: 'EXIT', [USAGE]: 'EXIT' })
    expect(rules[0]).toEqual({ onStatusReason: 'Host EC2*', action: 'RETRY' })
  })

  test('drains before Batch would end the task for good', () => {
    const { command } = definition.containerProperties
    expect(durationOf(command, '--time-limit')).toBeLessThan(definition.timeout.attemptDurationSeconds * 1000)
    expect(durationOf(command, '--drain-timeout')).toBeLessThan(30_000)
  })

  test.skipIf(!hasAws)('is what the AWS command line takes (skipped without it)', () => {
    const args = ['batch', 'register-job-definition', '--generate-cli-skeleton', 'output', '--region', 'eu-west-1']
    const { status, stderr } = call('aws', [...args, '--cli-input-json', `file://${DEFINITION}`])
    expect([status, stderr]).toEqual([0, ''])
  })
})

describe('slurm.sh', () => {
  /** Runs the script where `pawl` does what `body` says; `requeued` is what scontrol was called with. */
  function submit(body: string, env: NodeJS.ProcessEnv = {}) {
    const directory = project(0)
    const put = (name: string, text: string) => {
      writeFileSync(join(directory, name), `#!/bin/bash\n${text}\n`)
      chmodSync(join(directory, name), 0o755)
    }
    put('node_modules/.bin/pawl', body)
    put('scontrol', 'echo "$@" >requeued')
    const child = spawn('bash', [SCRIPT], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...process.env,
        PATH: `${directory}:${process.env.PATH}`,
        SLURM_SUBMIT_DIR: directory,
        SLURM_JOB_ID: '4711',
        ...env,
      },
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const requeued = () => existsSync(join(directory, 'requeued')) && readFileSync(join(directory, 'requeued'), 'utf8').trim()
    return { child, ended: once(child, 'exit'), requeued }
  }

  test.each([
    [0, false],
    [FAILED, false],
    [USAGE, false],
    [AGAIN, 'requeue 4711'],
    [143, false],
  ])('after exit code %i the task is queued again: %s', async (code, expected) => {
    const { ended, requeued } = submit(`exit ${code}`)
    expect(await ended).toEqual([code, null])
    expect(requeued()).toBe(expected)
  })

  test('hands SIGTERM on, waits for the drain, and queues the task again', async () => {
    const { child, ended, requeued } = submit(
      "trap 'echo draining; read -t 0.3 <> <(:); exit 75' TERM; echo running; for _ in {1..100}; do read -t 0.05 <> <(:); done",
    )
    const out: string[] = []
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (text.includes('running')) child.kill('SIGTERM')
      out.push(text)
    })
    expect(await ended).toEqual([AGAIN, null])
    expect(out.join('')).toContain('draining')
    expect(requeued()).toBe('requeue 4711')
  })

  test('is not queued again for ever', async () => {
    const { ended, requeued } = submit('exit 75', { SLURM_RESTART_COUNT: '20' })
    expect(await ended).toEqual([AGAIN, null])
    expect(requeued()).toBe(false)
  })

  test('asks for as many tasks as it shards, and for SIGTERM before the drain has to be over', () => {
    expect(script).toContain(`#SBATCH --array=0-${SHARDS - 1}\n`)
    const notice = Number(/^#SBATCH --signal=B:TERM@(\d+)$/m.exec(script)?.[1])
    expect(durationOf(slurmArgs, '--drain-timeout')).toBeLessThan(notice * 1000)
    expect(script).toMatch(/^#SBATCH --requeue$/m)
  })
})

test('README.md names the exit codes, the files and the array size that the examples have', () => {
  const readme = readFileSync(join(EXAMPLES, 'README.md'), 'utf8')
  const codes = [...readme.matchAll(/^\| ([\d, ]+) \|/gm)].flatMap(([, it]) => it?.split(', ').map(Number))
  expect(codes).toEqual([0, FAILED, USAGE, AGAIN, 137, 143])
  for (const file of [JOB, DEFINITION, SCRIPT]) expect(readme).toContain(`](${file.slice(EXAMPLES.length + 1)})`)
  expect(readme).toContain(`--array-properties size=${SHARDS}`)
})

/** The variables that a container is given. */
function envOf(list: { name: string; value: string }[]): Record<string, string> {
  return Object.fromEntries(list.map(({ name, value }) => [name, value]))
}
