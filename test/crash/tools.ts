import { spawnSync } from 'node:child_process'
import { appendFileSync } from 'node:fs'

/** With it the long forms are run: `npm run soak`. */
export const isSoak = Boolean(process.env.PAWL_SOAK)

/** Why a test that needs these commands, or to be root, cannot run here; undefined when it can. */
export function whyNot(commands: readonly string[], needsRoot = false): string | undefined {
  if (process.platform !== 'linux') return `needs Linux, and this is ${process.platform}`
  const absent = commands.filter((command) => spawnSync('sh', ['-c', `command -v ${command}`]).status !== 0)
  if (absent.length > 0) return `needs ${absent.join(' and ')}, which is not installed`
  return needsRoot && process.getuid?.() !== 0 ? 'needs root' : undefined
}

/** What a test is called when it is skipped: the reason is part of the name. */
export const nameOf = (name: string, reason: string | undefined) => (reason ? `${name} (skipped: ${reason})` : name)

/** What a soak test saw, for docs/reliability.md: a row of its table, and what goes into its last columns. */
export function note(row: string, figures: Readonly<Record<string, number>>): void {
  const file = process.env.PAWL_SOAK_FIGURES
  if (file) appendFileSync(file, `${JSON.stringify({ row, node: process.version, figures })}\n`)
}

/** Calls `visit` for each of `things`, `width` at once; the first error ends it. */
export async function forEachAtOnce<T>(things: Iterable<T>, width: number, visit: (thing: T) => Promise<void>): Promise<void> {
  const rest = things[Symbol.iterator]()
  const work = async () => {
    for (let next = rest.next(); !next.done; next = rest.next()) await visit(next.value)
  }
  await Promise.all(Array.from({ length: width }, work))
}
