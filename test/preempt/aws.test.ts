import { describe, expect, test } from 'vitest'
import { type Replies, type Reply, serve } from './metadata-server.ts'
import { watched } from './watched.ts'

const TOKEN = '/latest/api/token'
const ACTION = '/latest/meta-data/spot/instance-action'
const REBALANCE = '/latest/meta-data/events/recommendations/rebalance'
const WITH_TOKEN = 'x-aws-ec2-metadata-token'
const TTL = 'x-aws-ec2-metadata-token-ttl-seconds'

/** An EC2 instance that nothing is planned for, asked by a watch. Both places are asked every 2 s. */
async function instance(more: Replies = {}) {
  const service = await serve({ [TOKEN]: { body: 'token-1' }, ...more })
  const watch = watched({ aws: { baseUrl: service.url } })
  /** The next question at both places, once the last is answered. Replies change in between. */
  const nextRound = async (changes: Replies = {}) => {
    await watch.clock.asleep(2000, 2)
    Object.assign(service.replies, changes)
    watch.clock.advance(2000)
  }
  return { service, nextRound, ...watch }
}

const GONE = { action: 'terminate', time: '2026-01-01T08:22:00Z' }

describe('AWS', () => {
  test('is asked with a token every 2 s, and 404 means that nothing is planned', async () => {
    const { service, clock, notices, warnings } = await instance()
    for (let round = 1; round <= 3; round++) {
      await clock.asleep(2000, 2)
      expect(service.seenAt(ACTION)).toHaveLength(round)
      clock.advance(1999)
      expect(clock.count(2000)).toBe(2)
      clock.advance(1)
      expect(clock.count(2000)).toBe(0)
    }
    expect(service.seenAt(TOKEN).map(({ method, headers }) => [method, headers[TTL]])).toEqual([['PUT', '21600']])
    const asked = [...service.seenAt(ACTION), ...service.seenAt(REBALANCE)]
    expect(new Set(asked.map(({ method, headers }) => `${method} ${headers[WITH_TOKEN]}`))).toEqual(new Set(['GET token-1']))
    expect([...notices, ...warnings]).toEqual([])
  })

  test.each(['stop', 'terminate', 'hibernate'])('%s is a notice, given once', async (action) => {
    const { service, noticed, notices, nextRound, clock } = await instance()
    await nextRound()
    await nextRound({ [ACTION]: { body: { action, time: '2026-01-01T08:22:00Z' } } })
    expect((await noticed).message).toBe(`AWS gave notice that it will ${action} this spot instance at 2026-01-01T08:22:00Z`)
    await service.untilQuiet()
    expect(clock.count(2000)).toBe(0)
    expect(notices).toHaveLength(1)
  })

  test('a token is used until a tenth of its life is left, then renewed', async () => {
    const tokens = ['first', 'second']
    const { service, nextRound, clock } = await instance({
      [TOKEN]: () => ({ body: tokens.shift() ?? 'too many', headers: { [TTL]: '60' } }),
    })
    for (let time = 0; time < 54_000; time += 2000) {
      await clock.asleep(2000, 2)
      expect(service.seenAt(TOKEN)).toHaveLength(1)
      await nextRound()
    }
    await clock.asleep(2000, 2)
    expect(service.seenAt(TOKEN)).toHaveLength(2)
    const used = [...service.seenAt(ACTION), ...service.seenAt(REBALANCE)].map(({ headers }) => headers[WITH_TOKEN])
    expect(used.filter((it) => it === 'second')).toHaveLength(2)
    expect(new Set(used)).toEqual(new Set(['first', 'second']))
  })

  test('a token that is refused is replaced, and the question asked again at once', async () => {
    let valid = 'old'
    const { nextRound, noticed, warnings, clock } = await instance({
      [TOKEN]: () => ({ body: valid }),
      [ACTION]: ({ headers }) => (headers[WITH_TOKEN] === valid ? { status: 404 } : { status: 401 }),
    })
    await nextRound()
    await clock.asleep(2000, 2)
    valid = 'new'
    await nextRound({ [ACTION]: ({ headers }) => (headers[WITH_TOKEN] === 'new' ? { body: GONE } : { status: 401 }) })
    await noticed
    expect(warnings).toEqual([])
  })

  test.each([403, 404, 405])('is asked without a token where the token is answered with %i', async (status) => {
    const { service, noticed } = await instance({ [TOKEN]: { status }, [ACTION]: { body: GONE } })
    await noticed
    expect(service.seenAt(ACTION).map(({ headers }) => headers[WITH_TOKEN])).toEqual([undefined])
  })

  test('is asked without a token where the token does not come within a second', async () => {
    const { service, clock, noticed } = await instance({ [TOKEN]: 'hang', [ACTION]: { body: GONE } })
    await clock.asleep(1000)
    expect(service.seenAt(ACTION)).toEqual([])
    clock.advance(1000)
    await noticed
    expect(service.seenAt(ACTION).map(({ headers }) => headers[WITH_TOKEN])).toEqual([undefined])
  })

  test('is asked for a token again where it does not answer without', async () => {
    let isDown = true
    const { service, noticed, nextRound, clock } = await instance({
      [TOKEN]: () => (isDown ? { status: 404 } : { body: 'token' }),
      [ACTION]: ({ headers }) => (headers[WITH_TOKEN] === 'token' ? { body: GONE } : { status: 401 }),
    })
    await nextRound()
    await clock.asleep(2000, 2)
    isDown = false
    await nextRound()
    await noticed
    expect(service.seenAt(ACTION).at(-1)?.headers[WITH_TOKEN]).toBe('token')
  })

  const troubles: [string, Reply][] = [
    ['503', { status: 503, body: 'busy' }],
    ['500 with a notice in it', { status: 500, body: GONE }],
    ['an empty answer', { body: '' }],
    ['HTML', { body: '<html>Log in</html>' }],
    ['null', { body: 'null' }],
    ['a list', { body: '[]' }],
    ['an action it does not know', { body: { action: 'dance', time: 'now' } }],
    ['an answer cut short', 'cut'],
    ['an answer without end', 'endless'],
    ['a redirect', { status: 302, headers: { location: '/elsewhere' } }],
  ]
  test.each(troubles)(
    'after %s it is asked again, with one warning after the third, and then a notice still counts',
    async (_, trouble) => {
      const { service, nextRound, warnings, notices, noticed, clock } = await instance({ [ACTION]: trouble })
      for (let round = 1; round <= 5; round++) {
        await clock.asleep(2000, 2)
        expect(service.seenAt(ACTION)).toHaveLength(round)
        expect(warnings).toHaveLength(round < 3 ? 0 : 1)
        await nextRound()
      }
      expect(warnings[0]).toMatchObject({ code: 'PREEMPT_UNREACHABLE', message: expect.stringContaining(service.url) })
      expect(notices).toEqual([])
      await nextRound({ [ACTION]: { body: GONE } })
      await noticed
      expect(warnings).toHaveLength(1)
    },
  )

  test.each(['not\r\na header', '', 'x'.repeat(5000), 'töken'])(
    'a token that no header can carry (%j) is no token',
    async (body) => {
      const { service, nextRound, warnings } = await instance({ [TOKEN]: { body } })
      for (let round = 0; round < 3; round++) await nextRound()
      expect(service.seenAt(ACTION)).toEqual([])
      expect(warnings).toMatchObject([{ code: 'PREEMPT_UNREACHABLE' }])
    },
  )

  test('a bad moment now and then is not worth a warning', async () => {
    let round = 0
    const { nextRound, warnings } = await instance({ [ACTION]: () => ({ status: ++round % 3 === 0 ? 404 : 503 }) })
    for (let more = 0; more < 12; more++) await nextRound()
    expect(warnings).toEqual([])
  })

  test('an answer that hangs is given up after a second', async () => {
    const { service, clock, noticed } = await instance({ [ACTION]: 'hang' })
    await clock.asleep(2000) // The recommendation has been asked for.
    await service.until(() => service.seenAt(ACTION).length === 1)
    await clock.asleep(1000)
    clock.advance(1000)
    await service.untilQuiet()
    service.replies[ACTION] = { body: GONE }
    await clock.asleep(2000, 2)
    clock.advance(2000)
    await noticed
  })

  test('a service that is not there is told once', async () => {
    const service = await serve({})
    await service.close()
    const { clock, warnings } = watched({ aws: { baseUrl: service.url } })
    for (let round = 0; round < 6; round++) {
      await clock.asleep(2000, 2)
      clock.advance(2000)
    }
    expect(warnings).toMatchObject([{ code: 'PREEMPT_UNREACHABLE', message: expect.stringContaining('ECONNREFUSED') }])
  })

  test('a base URL it cannot speak to is told once and does not throw', async () => {
    const { clock, warnings } = watched({ aws: { baseUrl: 'ftp://127.0.0.1' } })
    for (let round = 0; round < 4; round++) {
      await clock.asleep(2000, 2)
      clock.advance(2000)
    }
    expect(warnings).toMatchObject([{ code: 'PREEMPT_UNREACHABLE', message: expect.stringContaining('ftp:') }])
  })

  test('the recommendation to leave is an advice, given once, and not a notice', async () => {
    const { service, nextRound, advices, notices, noticed } = await instance({
      [REBALANCE]: { body: { noticeTime: '2026-01-01T08:00:00Z' } },
    })
    for (let round = 0; round < 3; round++) await nextRound()
    expect(advices.map(({ message }) => message)).toEqual([
      'AWS recommends to leave this spot instance, since 2026-01-01T08:00:00Z',
    ])
    expect(service.seenAt(REBALANCE)).toHaveLength(1)
    expect(notices).toEqual([])
    await nextRound({ [ACTION]: { body: GONE } })
    await noticed
  })

  test.each<[string, Reply]>([
    ['503', { status: 503 }],
    ['garbage', { body: 'null' }],
    ['no time', { body: {} }],
  ])('a recommendation that cannot be read (%s) is not worth a warning', async (_, reply) => {
    const { nextRound, warnings, advices } = await instance({ [REBALANCE]: reply })
    for (let round = 0; round < 5; round++) await nextRound()
    expect([...warnings, ...advices]).toEqual([])
  })

  test('close() ends questions that hang, and asks no more', async () => {
    const { service, clock, close, notices, warnings } = await instance({ [ACTION]: 'hang', [REBALANCE]: 'hang' })
    await service.until(() => service.seenAt(ACTION).length + service.seenAt(REBALANCE).length === 2)
    close()
    await service.untilQuiet()
    expect(clock.count(2000)).toBe(0)
    expect([...notices, ...warnings]).toEqual([])
  })
})
