// @ts-check

/**
 * What scripts/soak.mjs found: for each kind of fault, figures summed over all tests that noted some.
 *
 * @typedef {{ date: string, machine: { cpu: string, cores: number, memory: number, platform: string, node: string },
 *   rows: Record<string, Record<string, number>> }} SoakResults
 */

const KEPT = 'what was acknowledged is there, and the next session completes the run'
const WENT_ON = 'the run pauses, tries again, and goes on by itself'
const IN_HAND = '`CheckpointWriteError` after 30 s, with all results in hand'

/** A row: its name in the figures, the fault, how it is made, what counts it, what is promised, what shows that it was kept. */
const ROWS = /** @type {const} */ ([
  [
    'kill-flush',
    'killed at any system call of a flush',
    '`strace` sends SIGKILL at the first, second, … call of each kind',
    'kills',
    KEPT,
  ],
  ['kill-compaction', 'killed at any system call of a compaction', 'the same', 'kills', KEPT],
  ['random-kills', 'killed at a random moment, while items fail, hang and are tried again', 'SIGKILL', 'kills', KEPT],
  [
    'error-once',
    'one error at any system call of a flush or a compaction',
    '`strace` makes it EIO, ENOSPC, EDQUOT, or a write that takes nothing',
    'errors',
    `${WENT_ON}; at the very start it may be refused`,
  ],
  ['error-for-good', 'errors from any system call on', '`strace`, with a clock 30 times as fast', 'errors', IN_HAND],
  ['error-random', 'errors at a tenth of all system calls', '`libfiu` in a run on two workers', 'sessions', WENT_ON],
  ['full', 'disk full for a while', 'a small tmpfs, filled', 'faults', WENT_ON],
  ['read-only', 'read-only for a while', 'a tmpfs, mounted anew', 'faults', WENT_ON],
  ['descriptors', 'out of file descriptors for a while', '`prlimit --nofile` on the running process', 'faults', WENT_ON],
  ['limit', 'largest size of a file reached within a write', '`prlimit --fsize`', 'faults', 'a short write, then a new file'],
  ['full-for-good', 'disk full for good', 'a small tmpfs, filled', 'faults', IN_HAND],
  ['read-only-for-good', 'read-only for good', 'a tmpfs, mounted anew', 'faults', IN_HAND],
  [
    'power-cut',
    'power cut',
    'ext4 on a loop device, stopped by `EXT4_IOC_SHUTDOWN` without flushing its log',
    'cuts',
    'nothing acknowledged with `durability: fsync` is missing',
  ],
  [
    'two-processes',
    'two processes at work on one run, one stopped or killed while they compact',
    'both ignore the lease; SIGSTOP, SIGKILL',
    'rounds',
    'the union is complete and every outcome right',
  ],
  ['two-processes-no-claim', 'the claim of a process at work is deleted, and another begins', '`rm`', 'rounds', 'the same'],
  [
    'two-processes-stopped',
    'a process stopped past its lease, taken over from another host, and continued',
    'SIGSTOP, 15 s, SIGCONT',
    'rounds',
    'the same',
  ],
])

/** Figures that are not the count of faults, in words. @type {Record<string, string>} */
const WORDS = {
  missing: 'acknowledged items missing',
  acknowledged: 'items acknowledged',
  wentOn: 'went on',
  refusedAtStart: 'refused at the start',
  resultsInHand: 'ended with all results in hand',
  failures: 'items that failed, as they should',
  runs: 'runs, completed with right results',
  stops: 'of them with one stopped',
  kills: 'with one killed',
}

/** The table of docs/reliability.md. @param {SoakResults} results */
export function describeSoak({ date, machine, rows }) {
  const lines = ROWS.flatMap(([row, fault, how, unit, promise]) => {
    const figures = rows[row]
    if (!figures) return []
    const seen = Object.entries(figures).filter(([name]) => name !== unit)
    const text = seen.map(([name, count]) => `${count.toLocaleString('en')} ${WORDS[name] ?? name}`).join(', ')
    return [`| ${fault} | ${how} | ${(figures[unit] ?? 0).toLocaleString('en')} ${unit} | ${promise} | ${text} |`]
  })
  const head = [
    '| fault | how it is injected | how often | what is promised | what was seen |',
    '| --- | --- | --- | --- | --- |',
  ]
  const { cpu, cores, memory, node } = machine
  const where = `${cpu}, ${cores} cores, ${memory} GiB, Node ${node.replace(/^v/, '')}, ${date.slice(0, 10)}`
  return `${[...head, ...lines].join('\n')}\n\nPrinted by \`npm run soak\` on ${where}.`
}

/** `text` with its generated part made anew. @param {string} text @param {SoakResults} results */
export function writeSoak(text, results) {
  return text.replace(
    /(<!-- generated: soak -->\n)[^]*?(<!-- \/generated -->)/,
    (_, begin, end) => `${begin}\n${describeSoak(results)}\n\n${end}`,
  )
}
