import { describe, expect, test } from 'vitest'
import { type Replies, type Reply, serve } from './metadata-server.ts'
import { watched } from './watched.ts'

const EVENTS = '/metadata/scheduledevents'
const NAME = '/metadata/instance/compute/name'

/** An event as Azure tells it. */
const event = (EventType: string, Resources: unknown = ['vm_1']) => ({
  EventId: '602d9444-d2cd-49c7-8624-8643e7171297',
  EventStatus: 'Scheduled',
  EventType,
  ResourceType: 'VirtualMachine',
  Resources,
  NotBefore: 'Mon, 19 Sep 2026 18:29:47 GMT',
  Description: '',
  EventSource: 'Platform',
  DurationInSeconds: -1,
})
const events = (...list: unknown[]): Reply => ({ body: { DocumentIncarnation: list.length, Events: list } })

async function vm(replies: Replies = {}) {
  const service = await serve({ [EVENTS]: events(), ...replies })
  const watch = watched({ azure: { baseUrl: service.url } })
  const nextRound = async (changes: Replies = {}) => {
    await watch.clock.asleep(1000)
    Object.assign(service.replies, changes)
    watch.clock.advance(1000)
  }
  return { service, nextRound, ...watch }
}

describe('Azure', () => {
  test('is asked every second, as its header and version want it', async () => {
    const { service, nextRound, notices, warnings, clock } = await vm()
    for (let round = 1; round <= 3; round++) {
      await clock.asleep(1000)
      expect(service.seen).toHaveLength(round)
      await nextRound()
    }
    const asked = service.seen.map(({ method, headers, query }) => [method, headers.metadata, query.get('api-version')])
    expect(new Set(asked.map(String))).toEqual(new Set(['GET,true,2020-07-01']))
    expect([...notices, ...warnings]).toEqual([])
  })

  test.each([
    ['Preempt', 'Azure gave notice that it evicts this spot VM, not before Mon, 19 Sep 2026 18:29:47 GMT'],
    ['Terminate', 'Azure gave notice that it deletes this VM, not before Mon, 19 Sep 2026 18:29:47 GMT'],
  ])('%s is a notice, given once', async (type, message) => {
    const { service, nextRound, noticed, notices, clock } = await vm()
    await nextRound({ [EVENTS]: events(event('Freeze'), event(type)) })
    expect((await noticed).message).toBe(message)
    await service.untilQuiet()
    expect([notices.length, clock.count(1000)]).toEqual([1, 0])
  })

  test.each(['Freeze', 'Reboot', 'Redeploy', 'Dance', undefined])('%s is no notice', async (type) => {
    const { nextRound, notices, warnings, clock } = await vm({ [EVENTS]: events(event(type as string), null, 7) })
    for (let round = 0; round < 4; round++) await nextRound()
    await clock.asleep(1000)
    expect([...notices, ...warnings]).toEqual([])
  })

  test('an event of another VM of the scale set is not about this one', async () => {
    const { service, nextRound, noticed, notices, clock } = await vm({
      [EVENTS]: events(event('Preempt', ['vm_2', 'vm_3'])),
      [NAME]: { body: 'VM_1' },
    })
    await nextRound()
    await nextRound()
    await clock.asleep(1000)
    expect(notices).toEqual([])
    expect(service.seenAt(NAME).map(({ headers }) => headers.metadata)).toEqual(['true'])
    await nextRound({ [EVENTS]: events(event('Preempt', ['vm_2']), event('Preempt', ['vm_1'])) })
    await noticed
  })

  test.each<[string, Reply]>([
    ['does not tell it', { status: 404 }],
    ['tells HTML', { body: '<html>' }],
    ['cuts it short', 'cut'],
  ])('an event counts whichever VM it names where the service is asked for this one and %s', async (_, reply) => {
    const { noticed } = await vm({ [EVENTS]: events(event('Preempt', ['vm_2'])), [NAME]: reply })
    await noticed
  })

  test.each([[[]], [undefined], ['vm_2']])('an event that names no VM (%j) counts', async (resources) => {
    const { noticed } = await vm({ [EVENTS]: events(event('Preempt', resources)), [NAME]: { body: 'vm_1' } })
    await noticed
  })

  const troubles: [string, Reply][] = [
    ['503', { status: 503 }],
    ['400 for a missing header', { status: 400, body: { error: 'Bad request. Required metadata header not specified' } }],
    ['an empty answer', { body: '' }],
    ['an object without events', { body: {} }],
    ['events that are no list', { body: { Events: { EventType: 'Preempt' } } }],
    ['an answer cut short', 'cut'],
    ['an answer without end', 'endless'],
  ]
  test.each(troubles)('after %s it is asked again, with one warning after the third', async (_, trouble) => {
    const { nextRound, warnings, noticed, notices, clock } = await vm({ [EVENTS]: trouble })
    for (let round = 1; round <= 5; round++) {
      await clock.asleep(1000)
      expect(warnings).toHaveLength(round < 3 ? 0 : 1)
      await nextRound(round === 5 ? { [EVENTS]: events(event('Preempt')) } : {})
    }
    await noticed
    expect(notices).toHaveLength(1)
    expect(warnings).toMatchObject([{ code: 'PREEMPT_UNREACHABLE', message: expect.stringContaining('Azure') }])
  })

  test('its first answer may take two minutes, as the first question turns the service on; the others 5 s', async () => {
    const { service, clock, noticed } = await vm({ [EVENTS]: 'hang' })
    await clock.asleep(130_000)
    clock.advance(120_000)
    expect(clock.count(130_000)).toBe(1)
    service.replies[EVENTS] = events()
    clock.advance(10_000)
    await clock.asleep(1000)
    clock.advance(1000)
    await clock.asleep(1000)
    service.replies[EVENTS] = 'hang'
    clock.advance(1000)
    await clock.asleep(5000)
    service.replies[EVENTS] = events(event('Preempt'))
    clock.advance(5000)
    await clock.asleep(1000)
    clock.advance(1000)
    await noticed
  })

  test('close() ends a question that hangs', async () => {
    const { service, close, warnings } = await vm({ [EVENTS]: 'hang' })
    await service.until(() => service.seen.length === 1)
    close()
    await service.untilQuiet()
    expect(warnings).toEqual([])
  })
})
