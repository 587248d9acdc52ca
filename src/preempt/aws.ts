import type { Clock } from '../clock.ts'
import { type Answer, type Ask, NoAnswerError } from './ask.ts'
import { readObject, type Source, senseless } from './source.ts'

export const AWS_URL = 'http://169.254.169.254'

const TOKEN = '/latest/api/token'
const ACTION = '/latest/meta-data/spot/instance-action'
const REBALANCE = '/latest/meta-data/events/recommendations/rebalance'

/** Milliseconds between two questions. A notice comes two minutes ahead; AWS recommends 5 s or less. */
const CADENCE = 2000

/** Milliseconds for an answer. The service is on the host: it answers in a few, or not at all. */
const TIMEOUT = 1000

/** How long a token is asked to live, in seconds: 6 hours, the most there is. */
const TOKEN_TTL = 21_600

/** Share of a token's life after which a new one is asked for. */
const TOKEN_SHARE = 0.9

const ACTIONS = ['stop', 'terminate', 'hibernate']

/**
 * EC2 instance metadata: the notice that a spot instance is to be interrupted, and the recommendation to leave it.
 *
 * @see https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/spot-instance-termination-notices.html
 */
export function awsSources(clock: Pick<Clock, 'now'>): Source[] {
  const get = createTokenAsk(clock)
  let isAdvised = false
  return [
    {
      cadence: CADENCE,
      isVital: true,
      read: async (ask) => {
        const answer = await get(ask, ACTION)
        if (answer.status === 404) return undefined
        const { action, time } = readObject(answer, ACTION)
        if (!ACTIONS.includes(action as string)) throw senseless(answer, ACTION)
        const when = typeof time === 'string' ? ` at ${time}` : ''
        return { kind: 'notice', reason: new Error(`AWS gave notice that it will ${action} this spot instance${when}`) }
      },
    },
    {
      cadence: CADENCE,
      isVital: false,
      read: async (ask) => {
        if (isAdvised) return undefined // It stays on show until the instance ends.
        const answer = await get(ask, REBALANCE)
        if (answer.status === 404) return undefined
        const { noticeTime } = readObject(answer, REBALANCE)
        if (typeof noticeTime !== 'string') throw senseless(answer, REBALANCE)
        isAdvised = true
        return { kind: 'advice', reason: new Error(`AWS recommends to leave this spot instance, since ${noticeTime}`) }
      },
    },
  ]
}

/**
 * A token; `undefined` as `text` where the service has none to give (IMDSv1). `until`: when to ask for the next, on the clock.
 */
interface Token {
  readonly text: string | undefined
  readonly until: number
}

/**
 * Asks with a token as IMDSv2 wants it, got when first needed, renewed before it ends or when it is refused. Where there
 * is none to be had, asks without, as IMDSv1 did: its answer to the token is 403, 404 or 405, or none at all when the
 * token would have to cross more network hops than it may (a container behind a bridge).
 */
function createTokenAsk(clock: Pick<Clock, 'now'>): (ask: Ask, path: string) => Promise<Answer> {
  let token: Promise<Token> | undefined

  const renew = (ask: Ask): Promise<Token> => {
    const renewed = fetchToken(ask, clock)
    renewed.catch(() => {
      if (token === renewed) token = undefined
    })
    token = renewed
    return renewed
  }
  /**
   * A token that lives and is not the one that was refused. Of two that ask at once, the second gets what the first has asked
   * for.
   */
  const take = async (ask: Ask, refused?: Token): Promise<Token> => {
    const pending = token
    const known = await pending
    if (known && known !== refused && clock.now() < known.until) return known
    return token === undefined || token === pending ? renew(ask) : token
  }
  const askWith = ({ text }: Token, ask: Ask, path: string) =>
    ask({ path, timeout: TIMEOUT, ...(text === undefined ? {} : { headers: { 'X-aws-ec2-metadata-token': text } }) })

  return async (ask, path) => {
    const used = await take(ask)
    const answer = await askWith(used, ask, path)
    return answer.status === 401 ? askWith(await take(ask, used), ask, path) : answer
  }
}

async function fetchToken(ask: Ask, clock: Pick<Clock, 'now'>): Promise<Token> {
  const without = { text: undefined, until: Number.POSITIVE_INFINITY }
  let answer: Answer
  try {
    const headers = { 'X-aws-ec2-metadata-token-ttl-seconds': String(TOKEN_TTL), 'Content-Length': '0' }
    answer = await ask({ path: TOKEN, method: 'PUT', headers, timeout: TIMEOUT })
  } catch (error) {
    if (error instanceof NoAnswerError) return without
    throw error
  }
  const { status, body, headers } = answer
  if ([403, 404, 405].includes(status)) return without
  // A token goes into a header: anything else than visible characters is no token.
  if (status !== 200 || !/^[\x21-\x7e]{1,4096}$/.test(body)) throw senseless(answer, TOKEN)
  const ttl = Number(headers['x-aws-ec2-metadata-token-ttl-seconds'])
  return { text: body, until: clock.now() + (ttl > 0 ? Math.min(ttl, TOKEN_TTL) : TOKEN_TTL) * 1000 * TOKEN_SHARE }
}
