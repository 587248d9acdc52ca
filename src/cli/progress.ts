import type { SingleBar } from 'cli-progress'
import type { Events } from '../types.ts'
import { formatEstimate } from './duration.ts'
import { say } from './terminal.ts'

/** Milliseconds between two lines where there is no terminal: often enough to see that it lives, seldom enough for a log. */
const LINE_INTERVAL = 3000

/**
 * Items of this session that must have settled before the time left is told. From one or two of uneven items the estimate is
 * hours off, and worse after a resume, when what was killed half way, often the longest items, comes first.
 */
const MIN_TO_ESTIMATE = 10

/** Characters of the bar: at most, and at least, or there is none. */
const BAR = { longest: 24, shortest: 8 }

const NEWLINE = 0x0a

/** Shows how a run goes, on stderr. */
export interface Progress {
  update(event: Events['progress']): void
  /** A sentence for people, in between. */
  note(sentence: string): void
  stop(): void
}

/** A bar on a terminal, a line every few seconds elsewhere, nothing but notes when `quiet`. */
export async function showProgress(quiet: boolean): Promise<Progress> {
  if (quiet) return { update: () => {}, note: say, stop: () => {} }
  const isTerminal = process.stderr.isTTY && process.env.TERM !== 'dumb'
  return isTerminal ? drawBar() : writeLines()
}

function writeLines(): Progress {
  let last = performance.now()
  return {
    update: (event) => {
      if (performance.now() - last < LINE_INTERVAL) return
      last = performance.now()
      say(describe(event))
    },
    note: say,
    stop: () => {},
  }
}

async function drawBar(): Promise<Progress> {
  const { default: cliProgress } = await import('cli-progress')
  let bar: SingleBar | undefined
  let isMidLine = false
  const write = process.stderr.write.bind(process.stderr)
  const doneOf = ({ done, total }: Events['progress']) => (total === undefined ? 0 : done)
  const start = (event: Events['progress']) => {
    const { total } = event
    const options = {
      format: total === undefined ? '{line}' : formatBar,
      fps: 10,
      stream: Object.create(process.stderr, { write: { value: write } }),
      clearOnComplete: true,
      hideCursor: null,
      linewrap: true, // What is too long is cut. Else the terminal is told not to wrap lines, and left so by a second signal.
      gracefulExit: false,
    }
    const created = new cliProgress.SingleBar(options, cliProgress.Presets.legacy)
    created.start(total ?? 1, doneOf(event), { line: describe(event) })
    return created
  }
  const erase = () => {
    bar?.stop()
    bar = undefined
  }
  // The bar goes back to where it began, so nothing may be written behind or below it, neither by tasks nor by us; it is
  // drawn anew at the next update.
  process.stderr.write = ((...args: Parameters<typeof write>) => {
    erase()
    const last = Buffer.from(args[0] as Uint8Array).at(-1)
    if (last !== undefined) isMidLine = last !== NEWLINE
    return write(...args)
  }) as typeof write
  return {
    update: (event) => {
      if (isMidLine) return
      bar ??= start(event)
      bar.update(doneOf(event), { line: describe(event) })
    },
    note: say,
    stop: () => {
      erase()
      process.stderr.write = write
    },
  }
}

/** The line with a bar before it, where the terminal has room for one: the numbers say more. */
function formatBar(
  _: unknown,
  { progress, maxWidth }: { progress: number; maxWidth: number },
  { line }: { line: string },
): string {
  const text = `${Math.floor(progress * 100)}% | ${line}`
  const size = Math.min(BAR.longest, maxWidth - text.length - '[] '.length)
  if (size < BAR.shortest) return text
  const full = Math.round(progress * size)
  return `[${'='.repeat(full)}${'-'.repeat(size - full)}] ${text}`
}

/** `120/500 done, 3 failed, 40 restored, 25/s, about 15s left`. */
function describe({ done, total, failed, restored, itemsPerSecond, eta }: Events['progress']): string {
  return [
    `${total === undefined ? done : `${done}/${total}`} done`,
    `${failed} failed`,
    `${restored} restored`,
    `${itemsPerSecond < 10 ? itemsPerSecond.toFixed(1) : Math.round(itemsPerSecond)}/s`,
    ...(eta === undefined || eta === 0 || done - restored < MIN_TO_ESTIMATE ? [] : [`${formatEstimate(eta)} left`]),
  ].join(', ')
}
