import { Agent, type IncomingHttpHeaders, request } from 'node:http'
import type { Clock } from '../clock.ts'

/** One question to a metadata service. */
interface Question {
  /** Path and query, after the base URL. */
  readonly path: string
  /** `GET` by default. */
  readonly method?: 'GET' | 'PUT'
  readonly headers?: Readonly<Record<string, string>>
  /** Longest wait for the whole answer, in milliseconds. */
  readonly timeout: number
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** Rejects when there is no answer: refused, too late, too long, or the watch is over. */
export type Ask = (question: Question) => Promise<Answer>

/** What a question rejects with when its time is up. */
export class NoAnswerError extends Error {}

/** Most characters an answer may have. The longest real one, a list of events on Azure, has a few thousand. */
const MAX_ANSWER = 1_000_000

/**
 * Asks the service at `baseUrl`, over node:http and past any proxy: a metadata service answers the machine itself only.
 * All questions end at once when `signal` aborts. Nothing here keeps the process alive for longer than a question's timeout.
 */
export function createAsk(baseUrl: string, clock: Pick<Clock, 'sleep'>, signal: AbortSignal): Ask {
  // An agent of its own, because the global one obeys NODE_USE_ENV_PROXY. A connection per question: one kept open would
  // now and then be closed by the service just as it is used again.
  const agent = new Agent({ keepAlive: false })
  return async ({ path, method = 'GET', headers = {}, timeout }) => {
    const answered = new AbortController()
    try {
      return await new Promise((resolve, reject) => {
        const url = new URL(baseUrl.replace(/\/+$/, '') + path)
        const asked = request(url, { method, headers, agent, signal })
        const giveUp = (error: Error) => {
          reject(error)
          asked.destroy()
        }
        asked.once('socket', (socket) => socket.unref())
        asked.on('error', reject)
        asked.once('response', (response) => {
          let body = ''
          response.setEncoding('utf8')
          response.on('error', reject)
          response.on('data', (text: string) => {
            body += text
            if (body.length > MAX_ANSWER) giveUp(new Error(`an answer of more than ${MAX_ANSWER} characters`))
          })
          response.once('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }))
        })
        asked.end()
        clock.sleep(timeout, answered.signal).then(
          () => giveUp(new NoAnswerError(`no answer within ${timeout} ms`)),
          () => {},
        )
      })
    } finally {
      answered.abort()
    }
  }
}
