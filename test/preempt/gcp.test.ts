import { describe, expect, test } from 'vitest'
import { type Replies, type Reply, type Seen, serve } from './metadata-server.ts'
import { watched } from './watched.ts'

const PREEMPTED = '/computeMetadata/v1/instance/preempted'
const MAINTENANCE = '/computeMetadata/v1/instance/maintenance-event'

/** A value of the metadata server. */
const value = (body: string, etag = `etag of ${body}`): Reply => ({ body, headers: { 'Metadata-Flavor': 'Google', ETag: etag } })

/** Answers as the metadata server does: at once when the asker knows another ETag, otherwise when `changed` resolves. */
function changing(from: string, changed: Promise<string>) {
  return async ({ query }: Seen) => {
    expect(query.get('wait_for_change')).toBe('true')
    return query.get('last_etag') === `etag of ${from}` ? value(await changed) : value(from)
  }
}

const never = new Promise<never>(() => {})

async function vm(replies: Replies) {
  const service = await serve({ [MAINTENANCE]: 'hang', ...replies })
  return { service, ...watched({ gcp: { baseUrl: service.url } }) }
}

describe('Google Cloud', () => {
  test('is asked by questions that hang until the value changes', async () => {
    let change = (_: string) => {}
    const changed = new Promise<string>((resolve) => {
      change = resolve
    })
    const { service, clock, noticed, notices, warnings } = await vm({ [PREEMPTED]: changing('FALSE', changed) })
    await clock.asleep(1000)
    clock.advance(1000)
    await service.until(() => service.seenAt(PREEMPTED).length === 2)
    expect(notices).toEqual([])
    change('TRUE')
    expect((await noticed).message).toBe('Google Cloud gave notice that it preempts this VM')
    expect(service.seen.every(({ method, headers }) => method === 'GET' && headers['metadata-flavor'] === 'Google')).toBe(true)
    const hang = Number(service.seenAt(PREEMPTED)[1]?.query.get('timeout_sec'))
    expect(hang).toBeGreaterThan(0)
    expect(warnings).toEqual([])
    await service.untilQuiet()
    expect([notices.length, clock.count(1000)]).toEqual([1, 0])
  })

  test('a preemption that was told before the run began is found at once', async () => {
    const { noticed, service } = await vm({ [PREEMPTED]: changing('TRUE', never) })
    await noticed
    expect(service.seenAt(PREEMPTED)).toHaveLength(1)
  })

  test('the end of the VM for maintenance is a notice, a live migration is not', async () => {
    let change = (_: string) => {}
    const changed = new Promise<string>((resolve) => {
      change = resolve
    })
    const states = ['NONE', 'MIGRATE_ON_HOST_MAINTENANCE']
    const { clock, noticed, notices } = await vm({
      [PREEMPTED]: 'hang',
      [MAINTENANCE]: async () => value(states.shift() ?? (await changed)),
    })
    for (let state = 0; state < 2; state++) {
      await clock.asleep(1000)
      clock.advance(1000)
    }
    expect(notices).toEqual([])
    change('TERMINATE_ON_HOST_MAINTENANCE')
    expect((await noticed).message).toBe('Google Cloud gave notice that it ends this VM for maintenance of its host')
  })

  test('a server that does not wait is asked once a second', async () => {
    const { service, clock } = await vm({ [PREEMPTED]: value('FALSE') })
    for (let round = 1; round <= 5; round++) {
      await clock.asleep(1000)
      expect(service.seenAt(PREEMPTED)).toHaveLength(round)
      clock.advance(1000)
    }
  })

  const troubles: [string, Reply][] = [
    ['503', { status: 503, headers: { 'Metadata-Flavor': 'Google' } }],
    ['404', { status: 404, headers: { 'Metadata-Flavor': 'Google' }, body: 'TRUE' }],
    ['the page of somebody else', { body: 'Sign in' }],
    ['HTML', { body: '<html>', headers: { 'Metadata-Flavor': 'Google' } }],
    ['an answer cut short', 'cut'],
  ]
  test.each(troubles)('after %s it is asked again, with one warning after the third', async (_, trouble) => {
    const { service, clock, warnings, notices, noticed } = await vm({ [PREEMPTED]: trouble })
    for (let round = 1; round <= 5; round++) {
      await clock.asleep(1000)
      expect(warnings).toHaveLength(round < 3 ? 0 : 1)
      if (round === 5) service.replies[PREEMPTED] = value('TRUE')
      else expect(notices).toEqual([])
      clock.advance(1000)
    }
    await noticed
    expect(warnings).toMatchObject([{ code: 'PREEMPT_UNREACHABLE', message: expect.stringContaining('Google Cloud') }])
  })

  test('an answer that hangs for longer than it was allowed to is given up, and asked for again', async () => {
    const { service, clock, noticed } = await vm({ [PREEMPTED]: 'hang' })
    await clock.asleep(35_000, 2)
    service.replies[PREEMPTED] = value('TRUE')
    clock.advance(35_000)
    await clock.asleep(1000, 2)
    clock.advance(1000)
    await noticed
  })

  test('silence about maintenance is not worth a warning', async () => {
    const { clock, warnings } = await vm({ [PREEMPTED]: 'hang', [MAINTENANCE]: { status: 503 } })
    for (let round = 0; round < 5; round++) {
      await clock.asleep(1000)
      clock.advance(1000)
    }
    expect(warnings).toEqual([])
  })

  test('close() ends questions that hang', async () => {
    const { service, close, warnings } = await vm({ [PREEMPTED]: 'hang' })
    await service.until(() => service.seen.length === 2)
    close()
    await service.untilQuiet()
    expect(warnings).toEqual([])
  })
})
