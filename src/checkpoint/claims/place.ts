import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/** Where a process is, so that another can tell whether it lives. */
export interface Place {
  readonly host: string
  /** Of the running kernel; '' where there is none to be had. */
  readonly bootId: string
  /** '' where there are none, or /proc is that of another: what it says of a number is of another process. */
  readonly pidNamespace: string
  readonly pid: number
  /** In clock ticks since boot; '' where it cannot be told. */
  readonly processStart: string
}

/** Of a claim that does not say where it was made. */
export const NOWHERE: Place = { host: '', bootId: '', pidNamespace: '', pid: 0, processStart: '' }

/** Whether a process is there that began as the one of `place` did; undefined when that is elsewhere. */
export function livesAt(place: Place, here: Place = herePlace()): boolean | undefined {
  if (place.host !== here.host || place.bootId !== here.bootId || place.pidNamespace !== here.pidNamespace) return undefined
  if (here.bootId !== '' && here.pidNamespace === '') return undefined
  if (here.processStart !== '') return place.processStart !== '' && processStart(place.pid) === place.processStart
  try {
    process.kill(place.pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Where this process is. */
export function herePlace(): Place {
  return {
    host: hostname(),
    bootId: attempt(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()),
    pidNamespace: attempt(() => (readlinkSync('/proc/self') === `${process.pid}` ? readlinkSync('/proc/self/ns/pid') : '')),
    pid: process.pid,
    processStart: processStart(process.pid),
  }
}

/** When the process began; '' when there is none, or it has ended and waits for its parent to notice. */
function processStart(pid: number): string {
  // The name, in parentheses, may hold anything; state and start are fields 3 and 22.
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return /[ZX]/.test(fields[0] ?? 'Z') ? '' : (fields[19] ?? '')
}

function attempt(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}
