import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type ExecuteOptions, execute, type RunLockedError } from 'pawl'
import { describe, expect, onTestFinished, test } from 'vitest'
import { nameOf, whyNot } from '../crash/tools.ts'
import held from '../fixtures/tasks/held.mjs'
import { noted } from '../fixtures/tasks/noted.mjs'
import { errorOf, newPlace, type Place, range } from '../resume/place.ts'

const PROGRAM = join(import.meta.dirname, '../fixtures/programs/held-run.mjs')
const ITEMS = range(8)

/** How long a claim from elsewhere is watched, in ms. Whoever waits this long did not decide at once. */
const WATCH_MS = 15_000

describe('a run that a live process is at', () => {
  test('is refused to another, which is told who has it, and taken over at once when that is killed', {
    timeout: 120_000,
  }, async () => {
    const place = newPlace()
    const options: ExecuteOptions<number> = { runId: 'run', checkpoint: place.runs }
    const { child, said } = await startHolding(place)

    const error = (await errorOf(execute(held, ITEMS, options))) as RunLockedError
    expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED', holder: { pid: child.pid, host: hostname() } })
    expect(error.holder.age).toBeGreaterThanOrEqual(0)
    expect(error.message).toContain(`process ${child.pid} on ${hostname()}`)
    expect((await errorOf(execute(held, ITEMS, { ...options, resume: 'fresh' }))).code).toBe('ERR_PAWL_RUN_LOCKED')

    child.kill('SIGSTOP')
    expect((await errorOf(execute(held, ITEMS, options))).code).toBe('ERR_PAWL_RUN_LOCKED')
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('close', resolve))
    writeFileSync(join(place.directory, 'go'), '')
    const began = performance.now()
    const { stats, results } = await execute(held, ITEMS, options)
    expect(performance.now() - began).toBeLessThan(WATCH_MS)
    expect(results).toEqual(ITEMS)
    expect(stats.restored).toBeGreaterThanOrEqual(5)
    expect(said).toEqual(['at work'])
    expect(claims(place)).toEqual([])
  })

  test('ends in peace: a refused one takes nothing from it', { timeout: 120_000 }, async () => {
    const place = newPlace()
    const { said, ended } = await startHolding(place)
    for (let times = 0; times < 5; times++) await errorOf(execute(held, ITEMS, { runId: 'run', checkpoint: place.runs }))
    writeFileSync(join(place.directory, 'go'), '')
    expect(await ended).toBe(0)
    expect(said).toEqual(['at work', 'done 0 8'])
    expect((await execute(held, ITEMS, { runId: 'run', checkpoint: place.runs })).stats).toMatchObject({
      restored: 8,
      dispatched: 0,
    })
  })

  test('is refused within the same process too, and free when the first has ended', async () => {
    const place = newPlace()
    const first = execute(held, ITEMS, { runId: 'run', checkpoint: { store: place.runs, every: 1 }, workers: 1, chunkSize: 1 })
    while (claims(place).length === 0) await new Promise((resolve) => setImmediate(resolve))
    const error = await errorOf(execute(held, ITEMS, { runId: 'run', checkpoint: place.runs }))
    expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED', holder: { pid: process.pid, host: hostname() } })
    writeFileSync(join(place.directory, 'go'), '')
    expect((await first).results).toEqual(ITEMS)
    expect(claims(place)).toEqual([])
    expect((await execute(held, ITEMS, { runId: 'run', checkpoint: place.runs })).stats.dispatched).toBe(0)
  })

  test('lets another run of the store, and another shard of the run, go on', { timeout: 120_000 }, async () => {
    const place = newPlace()
    const holder = await shardOf(5)
    const other = holder === '1/2' ? '2/2' : '1/2'
    const { said, ended } = await startHolding(place, holder, false)
    while (claims(place).length === 0) await new Promise((resolve) => setImmediate(resolve))
    await execute(noted, range(3), { runId: 'other', checkpoint: place.runs })
    const { stats } = await execute(held, ITEMS, { runId: 'run', shard: other, checkpoint: place.runs })
    expect(stats.dispatched).toBe(stats.items)
    expect((await errorOf(execute(held, ITEMS, { runId: 'run', shard: holder, checkpoint: place.runs }))).code).toBe(
      'ERR_PAWL_RUN_LOCKED',
    )
    expect((await errorOf(execute(held, ITEMS, { runId: 'run', checkpoint: place.runs }))).code).toBe('ERR_PAWL_RUN_LOCKED')
    writeFileSync(join(place.directory, 'go'), '')
    expect(await ended).toBe(0)
    expect(said.at(-1)).toMatch(/^done/)
    expect((await execute(held, ITEMS, { runId: 'run', checkpoint: place.runs })).stats).toMatchObject({
      restored: 8,
      dispatched: 0,
    })
  })
})

describe('a claim that was left behind', () => {
  const noUnshare = whyNot(['unshare'], true)
  test.skipIf(noUnshare)(nameOf('names no namespace where /proc is of another one, and is watched', noUnshare), async () => {
    const place = newPlace()
    const { child, ended } = await startHolding(place, undefined, true, ['unshare', '--pid', '--fork', '--kill-child'])
    const [writer = ''] = claims(place)
    const claim = JSON.parse(readFileSync(join(place.runs, 'run/lease', writer), 'utf8'))
    expect(claim).toMatchObject({ host: hostname(), pid: 1, pidNamespace: '' })
    child.kill('SIGKILL')
    await ended.catch(() => {})
  })

  test.each<[string, (claim: Claim) => Partial<Claim>]>([
    ['of a process that is gone', () => ({ pid: 2 ** 22 + 1 })],
    ['of a process whose number another has now', () => ({ processStart: '1' })],
    ['from before processes were numbered so', () => ({ pid: -1 })],
  ])('is taken over at once: %s', async (_, change) => {
    const place = newPlace()
    const claim = await leaveClaim(place)
    writeClaim(place, { ...claim, ...change(claim) })
    const began = performance.now()
    expect((await execute(noted, ITEMS, { runId: 'run', checkpoint: place.runs })).stats.restored).toBe(8)
    expect(performance.now() - began).toBeLessThan(WATCH_MS)
    expect(claims(place)).toEqual([])
  })

  test('is nothing to stop at when it cannot be read', async () => {
    const place = newPlace()
    await leaveClaim(place)
    for (const text of ['', 'null', '{', '[]', '{"pid":1}', '{"__proto__":{"pid":1}}', '\0'.repeat(100)]) {
      mkdirSync(join(place.runs, 'run/lease'), { recursive: true }) // An empty claim is that of a session at an end, and goes with it.
      writeFileSync(join(place.runs, 'run/lease', 'a'.repeat(21)), text)
      expect((await execute(noted, ITEMS, { runId: 'run', checkpoint: place.runs })).stats.restored).toBe(8)
    }
  })

  // Real time: 15 s is what is promised, so all that watch do so together.
  test('from elsewhere is watched: taken over after 15 s unless it beats', { timeout: 120_000 }, async () => {
    const elsewhere = { host: 'another-host', bootId: 'another-boot', pidNamespace: 'pid:[1]' }
    const silent = newPlace()
    const beating = newPlace()
    const quiet = { ...(await leaveClaim(silent)), ...elsewhere }
    const loud = { ...(await leaveClaim(beating)), ...elsewhere }
    writeClaim(silent, quiet)
    writeClaim(beating, loud)
    let beats = 0
    const timer = setInterval(() => writeClaim(beating, { ...loud, beatAt: loud.beatAt + 5000 * ++beats }), 5000)
    const watch = async () => {
      const began = performance.now()
      const { stats } = await execute(noted, ITEMS, { runId: 'run', checkpoint: silent.runs })
      expect(stats).toMatchObject({ restored: 8, dispatched: 0 })
      expect(performance.now() - began).toBeGreaterThanOrEqual(WATCH_MS)
      expect(claims(silent)).toEqual([])
    }
    const refuse = async () => {
      const error = await errorOf(execute(noted, ITEMS, { runId: 'run', checkpoint: beating.runs }))
      expect(error).toMatchObject({ code: 'ERR_PAWL_RUN_LOCKED', holder: { host: 'another-host' } })
    }
    try {
      await Promise.all([watch(), refuse()])
    } finally {
      clearInterval(timer)
    }
    expect(claims(beating)).toEqual([loud.writer])
  })
})

interface Claim {
  readonly writer: string
  readonly host: string
  readonly bootId: string
  readonly pidNamespace: string
  readonly pid: number
  readonly processStart: string
  readonly beatAt: number
}

/** Writers with a claim on the run. */
function claims({ runs }: Place): string[] {
  const directory = join(runs, 'run/lease')
  return existsSync(directory) ? readdirSync(directory).filter((name) => !name.startsWith('.')) : []
}

/** Does the run, and gives back the claim there was on it meanwhile. */
async function leaveClaim(place: Place): Promise<Claim> {
  let claim: Claim | undefined
  const outcome = () => {
    const [writer] = claims(place)
    if (writer && !claim) claim = JSON.parse(readFileSync(join(place.runs, 'run/lease', writer), 'utf8'))
  }
  await execute(noted, ITEMS, { runId: 'run', checkpoint: place.runs, on: { outcome } })
  if (!claim) throw new Error('there was no claim')
  expect(claim).toMatchObject({ host: hostname(), pid: process.pid })
  return claim
}

function writeClaim({ runs }: Place, claim: Claim): void {
  mkdirSync(join(runs, 'run/lease'), { recursive: true })
  writeFileSync(join(runs, 'run/lease', claim.writer), JSON.stringify(claim))
}

/** Which half of the items the item is in. */
async function shardOf(item: number): Promise<'1/2' | '2/2'> {
  const { results } = await execute((n: number) => n, ITEMS, { shard: '1/2', mode: 'inline' })
  return results[item] === undefined ? '2/2' : '1/2'
}

async function startHolding(
  place: Place,
  shard?: string,
  isAwaited = true,
  prefix: readonly string[] = [],
): Promise<{ child: ChildProcess; said: string[]; ended: Promise<number | null> }> {
  const given = JSON.stringify({ checkpoint: place.runs, shard })
  const [command = '', ...args] = [...prefix, process.execPath, PROGRAM, given]
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const said: string[] = []
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  const atWork = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      said.push(line)
      if (line === 'at work') resolve()
    })
    ended.then((code) => reject(new Error(`ended with ${code}`)))
  })
  atWork.catch(() => {})
  if (isAwaited) await atWork
  return { child, said, ended }
}
