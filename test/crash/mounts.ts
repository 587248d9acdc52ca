import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { newDirectory } from '../resume/place.ts'

/** A place with mounts of its own, which the system takes down when its keeper ends, however that comes about. */
export interface MountSpace {
  /** Where to mount something. */
  readonly point: string
  /** A wrapper that starts a command in there. */
  readonly inside: readonly string[]
  /** The mount point as seen from outside. */
  readonly seen: string
  /** A directory beside it, for images. */
  readonly directory: string
  /** Runs a command of the shell in there; raises what it says when it fails. */
  run(command: string): void
}

export async function newMountSpace(): Promise<MountSpace> {
  const directory = newDirectory()
  const point = join(directory, 'mounted')
  mkdirSync(point)
  // cat ends with its standard input, and so with this process.
  const keeper = spawn('unshare', ['-m', '--propagation', 'private', 'sh', '-c', 'echo; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => close(keeper))
  await new Promise((resolve, reject) => {
    keeper.stdout.once('data', resolve)
    keeper.once('error', reject)
    keeper.once('close', () => reject(new Error('cannot make a mount namespace')))
  })
  // To enter is to leave the working directory.
  const inside = ['nsenter', '-t', String(keeper.pid), '-m', 'sh', '-ec', 'cd "$0" && exec "$@"', process.cwd()]
  const run = (command: string) => {
    execFileSync(inside[0] as string, [...inside.slice(1), 'sh', '-ec', command], { stdio: ['ignore', 'pipe', 'pipe'] })
  }
  return { point, inside, seen: `/proc/${keeper.pid}/root${point}`, directory, run }
}

async function close(keeper: ChildProcess): Promise<void> {
  if (keeper.exitCode !== null) return
  const closed = new Promise((resolve) => keeper.once('close', resolve))
  keeper.stdin?.end()
  await closed
}
