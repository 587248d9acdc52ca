import { describe, expect, test } from 'vitest'
import { mulberry32 } from '../promises/killing.ts'
import { newMountSpace } from './mounts.ts'
import { atRandom, checkResults, countMissing, finishRun, newOracle, remember, startSession, type Work } from './session.ts'
import { isSoak, nameOf, note, whyNot } from './tools.ts'

const reason = whyNot(['unshare', 'nsenter', 'mount', 'mkfs.ext4', 'perl'], true)
const CUTS = isSoak ? 60 : 8
const SEED = Number(process.env.PAWL_SEED ?? 1)

/** EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH: from this moment nothing reaches the device, as if its power were gone. */
const SHUT_DOWN = 'open my $f, "<", $ARGV[0] or die $!; my $how = pack("I", 2); ioctl($f, 0x8004587d, $how) or die $!'

const work: Work = { items: 400, checkpoint: { every: 10, keep: 0 }, options: { workers: 2, chunkSize: 5 }, pace: 4 }

describe.skipIf(reason)(nameOf('a power cut', reason), () => {
  test(`at ${CUTS} random moments takes nothing that was acknowledged`, { timeout: 1_200_000 }, async () => {
    const random = mulberry32(SEED)
    const machine = await newMachine()
    const seen = { cuts: 0, acknowledged: 0, missing: 0 }
    for (let run = 0; seen.cuts < CUTS; run++) {
      const format = run % 2 === 0 ? ('msgpack' as const) : ('json' as const)
      const given = { ...work, checkpoint: { ...work.checkpoint, format } }
      // A place of its own: what is removed comes back with a cut.
      const place = `${machine.point}/${run}`
      const seenPlace = `${machine.seen}/${run}`
      const oracle = newOracle()
      for (let isDone = false; !isDone && seen.cuts < CUTS; ) {
        const session = startSession(place, { ...given, isWhole: random() < 0.5 }, machine.inside)
        await atRandom(session, random)
        // What is acknowledged while the cut goes on does not count: of syncs under way some then say to have succeeded, of any program.
        remember(oracle, session)
        const isOver = session.done !== undefined
        machine.cut()
        session.child.kill('SIGKILL')
        await session.ended.catch(() => {})
        machine.start()
        seen.cuts++
        const missing = await countMissing(seenPlace, oracle, 'steady', `cut ${seen.cuts}, seed ${SEED}`)
        expect(
          missing,
          `acknowledged and missing after cut ${seen.cuts}, seed ${SEED}: ${session.announced}, ${session.restored}`,
        ).toBeLessThanOrEqual(0)
        seen.missing += Math.max(0, missing)
        isDone = isOver
        if (session.done) checkResults(given, session.done)
      }
      seen.acknowledged += oracle.announced
      const { stats } = await finishRun(seenPlace, { ...given, options: { mode: 'inline' } }, oracle)
      expect(stats.restored).toBeGreaterThanOrEqual(oracle.announced)
    }
    expect(seen.acknowledged).toBeGreaterThan(CUTS)
    note('power-cut', seen)
  })

  test('takes what was not synced: the cut is one', { timeout: 300_000 }, async () => {
    const machine = await newMachine()
    const given: Work = { ...work, checkpoint: { every: 10, durability: 'none' } }
    const session = startSession(machine.point, given, machine.inside)
    await session.until(({ announced }) => announced >= 100)
    machine.cut()
    session.child.kill('SIGKILL')
    await session.ended.catch(() => {})
    machine.start()
    const oracle = newOracle()
    remember(oracle, session)
    expect(await countMissing(machine.seen, oracle)).toBeGreaterThan(0)
  })
})

/** A file system of its own on a disk of its own, whose power can be cut. */
async function newMachine() {
  const space = await newMountSpace()
  const image = `${space.directory}/disk`
  const mount = `mount -o loop ${image} ${space.point}`
  space.run(`truncate -s 32M ${image}; mkfs.ext4 -q ${image}; ${mount}`)
  return {
    ...space,
    cut: () => space.run(`perl -e '${SHUT_DOWN}' ${space.point}`),
    start: () => space.run(`umount ${space.point}; ${mount}`),
  }
}
