import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { onAbort } from '../src/drain.ts'
import { hearSignal } from '../src/preempt/signals.ts'

test('onAbort() listens once for all, and no longer than somebody wants to hear', () => {
  const { signal } = new AbortController()
  const ends = [1, 2, 3].map(() => onAbort(signal, () => {}))
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
  for (const end of [...ends, ...ends]) end()
  expect(getEventListeners(signal, 'abort')).toEqual([])
  onAbort(signal, () => {})
  expect(getEventListeners(signal, 'abort')).toHaveLength(1)
})

test('onAbort() tells everybody who still wants to hear, and at once of what was before', () => {
  const abort = new AbortController()
  const heard: string[] = []
  onAbort(abort.signal, () => heard.push('first'))
  onAbort(abort.signal, () => heard.push('second'))()
  onAbort(abort.signal, () => heard.push('third'))
  abort.abort()
  onAbort(abort.signal, () => heard.push('late'))
  onAbort(undefined, () => heard.push('never'))
  expect(heard).toEqual(['first', 'third', 'late'])
})

test('hearSignal() has the process listened to once, however many runs hear', () => {
  const before = process.listenerCount('SIGTERM')
  const overs = Array.from({ length: 20 }, () => new AbortController())
  for (const { signal } of overs) hearSignal(signal, () => {})
  expect(process.listenerCount('SIGTERM') - before).toBe(1)
  for (const over of overs) over.abort()
  expect(process.listenerCount('SIGTERM')).toBe(before)
})
