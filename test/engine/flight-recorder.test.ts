import { describe, expect, test } from 'vitest'
import * as recorder from '../../src/engine/flight-recorder.ts'

const slot = (length: number, which = 0) => {
  const made = recorder.slotOf(recorder.createRecorder(2), which)
  recorder.prepare(made, length)
  return made
}

describe('the flight recorder', () => {
  test('tells the place that runs, and since when', () => {
    const it = slot(3)
    expect(recorder.cursorOf(it)).toBe(-1)
    expect(recorder.enter(it, 0, 1000)).toBe(true)
    expect(recorder.cursorOf(it)).toBe(0)
    expect(recorder.runningFor(it, 1250)).toBe(250)
    expect([recorder.begunTo(it, 3), recorder.packedTo(it, 3)]).toEqual([1, 0])
    recorder.leave(it, 3, 1)
    expect(recorder.cursorOf(it)).toBeGreaterThanOrEqual(3)
    expect([recorder.begunTo(it, 3), recorder.packedTo(it, 3)]).toEqual([1, 1])
  })

  test('tells how long across the turn of 2^32 ms', () => {
    const it = slot(1)
    recorder.enter(it, 0, 2 ** 32 - 100)
    expect(recorder.runningFor(it, 2 ** 32 + 50)).toBe(150)
  })

  test('lets nobody start a place from the limit on', () => {
    const it = slot(3)
    recorder.enter(it, 0, undefined)
    expect(recorder.takeTail(it, 1)).toBe(true)
    expect(recorder.limitOf(it)).toBe(1)
    expect(recorder.enter(it, 1, undefined)).toBe(false)
  })

  test('gives no tail that is claimed, and says that it was wanted', () => {
    const it = slot(8)
    expect(recorder.claim(it, 4)).toBe(4)
    recorder.enter(it, 0, undefined)
    expect(recorder.isWanted(it)).toBe(false)
    expect(recorder.takeTail(it, 3)).toBe(false)
    expect(recorder.isWanted(it)).toBe(true)
    expect(recorder.limitOf(it)).toBe(8)
    recorder.takeNote(it)
    expect(recorder.isWanted(it)).toBe(false)
    recorder.letGo(it, 1)
    expect(recorder.takeTail(it, 3)).toBe(true)
    expect(recorder.claim(it, 8)).toBe(3)
  })

  test('tells which place was awaited', () => {
    const it = slot(3)
    expect(recorder.isAwaited(it, 0)).toBe(false)
    recorder.claim(it, 1)
    recorder.enter(it, 0, undefined)
    recorder.awaitPlace(it, 0)
    expect([0, 1].map((place) => recorder.isAwaited(it, place))).toEqual([true, false])
    expect(recorder.takeTail(it, 1)).toBe(true)
    recorder.prepare(it, 3)
    expect(recorder.isAwaited(it, 0)).toBe(false)
  })

  test('stops between two items that are claimed', () => {
    const it = slot(8)
    recorder.claim(it, 8)
    expect(recorder.enter(it, 0, undefined)).toBe(true)
    recorder.stop(it)
    expect(recorder.enter(it, 1, undefined)).toBe(false)
  })

  test('gives no tail when all are done, nor one that was taken before', () => {
    const it = slot(3)
    recorder.claim(it, 3)
    recorder.leave(it, 3, 3)
    expect(recorder.takeTail(it, 1)).toBe(false)
    const other = slot(3)
    expect(recorder.takeTail(other, 0)).toBe(true)
    expect(recorder.takeTail(other, 0)).toBe(false)
    expect(recorder.takeTail(other, 2)).toBe(false)
  })

  test('stops between two items, and wakes who waits for it', async () => {
    const it = slot(3)
    recorder.enter(it, 0, undefined)
    expect(recorder.isStopped(it)).toBe(false)
    const stopped = recorder.whenStopped(it)
    recorder.stop(it)
    recorder.announceStop(it)
    await stopped
    expect(recorder.isStopped(it)).toBe(true)
    expect(recorder.enter(it, 1, undefined)).toBe(false)
    expect(recorder.whenStopped(it)).toBeUndefined()
    recorder.prepare(it, 5)
    expect(recorder.isStopped(it)).toBe(false)
    expect(recorder.limitOf(it)).toBe(5)
  })

  test('keeps slots apart', () => {
    const cells = recorder.createRecorder(2)
    const [a, b] = [recorder.slotOf(cells, 0), recorder.slotOf(cells, 1)]
    recorder.prepare(a, 3)
    recorder.prepare(b, 7)
    recorder.stop(a)
    expect(recorder.limitOf(b)).toBe(7)
    expect(recorder.isStopped(b)).toBe(false)
  })
})
