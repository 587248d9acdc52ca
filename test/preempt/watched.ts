import { onTestFinished } from 'vitest'
import type { PreemptOptions } from '../../src/options/options.ts'
import { watchPreemption } from '../../src/preempt/preempt.ts'
import type { Emit, Events } from '../../src/types.ts'
import { virtualClock } from './virtual-clock.ts'

/** A watch on virtual time, closed when the test is over, and all it said. */
export function watched(option: 'auto' | PreemptOptions, sysfs?: string) {
  const clock = virtualClock()
  const notices: Error[] = []
  const advices: Error[] = []
  const warnings: Events['warning'][] = []
  const emit: Emit = (event, payload) => {
    if (event === 'warning') warnings.push(payload as Events['warning'])
  }
  let tell = (_: Error) => {}
  const noticed = new Promise<Error>((resolve) => {
    tell = resolve
  })
  const { close } = watchPreemption(option, {
    onNotice: (reason) => {
      notices.push(reason)
      tell(reason)
    },
    onAdvice: (reason) => void advices.push(reason),
    emit,
    clock,
    ...(sysfs === undefined ? {} : { sysfs }),
  })
  onTestFinished(close)
  return { clock, notices, advices, warnings, noticed, close }
}
