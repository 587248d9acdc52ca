import { describe, expect, test, vi } from 'vitest'
import { createPlaces } from '../../src/engine/places.ts'

const never = new AbortController().signal

describe('createPlaces()', () => {
  test('gives places in the order they were asked for', async () => {
    const places = createPlaces(1)
    const order: string[] = []
    expect(await places.take(never)).toBe(true)
    const waiting = ['first', 'second', 'third'].map((name) => places.take(never).then(() => order.push(name)))
    for (let i = 0; i < 3; i++) {
      places.give()
      await waiting[i]
    }
    expect(order).toEqual(['first', 'second', 'third'])
  })

  test('lets nobody in before those who wait', async () => {
    const places = createPlaces(1)
    await places.take(never)
    const order: string[] = []
    const early = places.take(never).then(() => order.push('early'))
    places.give()
    const late = places.take(never).then(() => order.push('late'))
    await early
    places.give()
    await late
    expect(order).toEqual(['early', 'late'])
  })

  test('gives up waiting when the signal aborts, and passes the place on', async () => {
    const places = createPlaces(1)
    await places.take(never)
    const abort = new AbortController()
    const given = places.take(abort.signal)
    const next = places.take(never)
    abort.abort()
    expect(await given).toBe(false)
    places.give()
    expect(await next).toBe(true)
    expect(await places.take(abort.signal)).toBe(false)
  })

  test('a signal that aborts ends the waiting of all who gave it, and of nobody else', async () => {
    const places = createPlaces(0)
    const abort = new AbortController()
    const waiting = [abort.signal, never, abort.signal].map((signal) => places.take(signal))
    abort.abort()
    expect(await Promise.all([waiting[0], waiting[2]])).toEqual([false, false])
    places.resize(1)
    expect(await waiting[1]).toBe(true)
  })

  test('listens to a signal once, however often it is waited for', async () => {
    const places = createPlaces(1)
    await places.take(never)
    const { signal } = new AbortController()
    const listen = vi.spyOn(signal, 'addEventListener')
    for (let i = 0; i < 3; i++) {
      const taken = places.take(signal)
      places.give()
      expect(await taken).toBe(true)
    }
    expect(listen).toHaveBeenCalledTimes(1)
  })

  test('resize() lets in at once, and does not take back what is taken', async () => {
    const places = createPlaces(0)
    const both = [places.take(never), places.take(never)]
    places.resize(2)
    expect(await Promise.all(both)).toEqual([true, true])
    places.resize(1)
    expect(places.count).toBe(1)
    places.give()
    let isGiven = false
    const third = places.take(never).then(() => {
      isGiven = true
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(isGiven).toBe(false)
    places.give()
    await third
  })

  test('borrow() takes one more than there are, which is to be given back', async () => {
    const places = createPlaces(1)
    await places.take(never)
    places.borrow()
    let isGiven = false
    const next = places.take(never).then(() => {
      isGiven = true
    })
    places.give()
    await new Promise((resolve) => setImmediate(resolve))
    expect(isGiven).toBe(false)
    places.give()
    await next
  })
})
