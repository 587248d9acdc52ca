import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { onTestFinished } from 'vitest'

export const BIN = join(import.meta.dirname, '../../dist/cli/main.js')

/** What a process came to. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

/** `pawl` as it runs. */
export interface Running {
  readonly child: ChildProcess
  readonly ended: Promise<Ended>
  /** Resolves once stderr matches. Rejects when the process ends without. */
  saying(pattern: RegExp): Promise<void>
}

/** A directory of its own with `files` in it, removed when the test is over. */
export function project(files: Record<string, string | object> = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'pawl-cli-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const put = (name: string, content: string | object) => {
    mkdirSync(dirname(join(directory, name)), { recursive: true })
    writeFileSync(join(directory, name), typeof content === 'string' ? content : JSON.stringify(content))
  }
  for (const [name, content] of Object.entries({ 'package.json': { type: 'module' }, ...files })) put(name, content)

  /** `wrapper`: a command that starts the one behind it. */
  const start = (args: readonly string[], stdin?: string, wrapper: readonly string[] = []): Running => {
    const [command = '', ...given] = [...wrapper, process.execPath, BIN, ...args]
    const child = spawn(command, given, { cwd: directory, stdio: 'pipe' })
    onTestFinished(() => void child.kill('SIGKILL'))
    child.stdin.on('error', () => {})
    if (stdin !== undefined) child.stdin.end(stdin)
    let [stdout, stderr] = ['', '']
    const listeners = new Set<() => void>()
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text
    })
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text
      for (const listener of listeners) listener()
    })
    const ended = new Promise<Ended>((resolve) => child.on('close', (code, signal) => resolve({ code, signal, stdout, stderr })))
    const saying = (pattern: RegExp) =>
      new Promise<void>((resolve, reject) => {
        const look = () => pattern.test(stderr) && resolve()
        listeners.add(look)
        look()
        ended.then(() => reject(new Error(`ended without ${pattern}: ${stderr}`)))
      })
    return { child, ended, saying }
  }
  const pawl = (...args: string[]) => start(args, '').ended
  return { directory, put, start, pawl }
}

/** `count` items as JSONL: `{"n":0}` and on. */
export function items(count: number): string {
  return Array.from({ length: count }, (_, n) => `{"n":${n}}\n`).join('')
}

/** The lines of JSONL, parsed. */
export function lines(text: string): unknown[] {
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
}
