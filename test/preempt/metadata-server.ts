import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** What a test wants answered. `hang`: nothing, ever. `cut`: the connection ends half way through. `endless`: a body without end. */
export type Reply =
  | { readonly status?: number; readonly body?: string | object; readonly headers?: Record<string, string> }
  | 'hang'
  | 'cut'
  | 'endless'

/** A request as it came. */
export interface Seen {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingHttpHeaders
}

/** Replies by path; a function decides anew for every request. Paths that are not here are answered with 404. */
export type Replies = Record<string, Reply | ((seen: Seen) => Reply | Promise<Reply>)>

/** A metadata service on loopback, gone when the test is over. */
export async function serve(replies: Replies) {
  const seen: Seen[] = []
  let watchers: (() => boolean)[] = []
  const look = () => {
    watchers = watchers.filter((isDone) => !isDone())
  }
  let open = 0
  const server = createServer(async (request, response) => {
    const { pathname: path, searchParams: query } = new URL(request.url ?? '/', 'http://localhost')
    const asked = { method: request.method ?? '', path, query, headers: request.headers }
    seen.push(asked)
    const reply = replies[path] ?? { status: 404 }
    open++
    response.once('close', () => {
      open--
      look()
    })
    look()
    answer(response, typeof reply === 'function' ? await reply(asked) : reply)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const close = async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(close)

  /** Resolves when `isTrue` is, looked at whenever a request comes or ends. */
  const until = (isTrue: () => boolean) =>
    new Promise<void>((resolve) => {
      const isDone = () => {
        if (isTrue()) resolve()
        return isTrue()
      }
      if (!isDone()) watchers.push(isDone)
    })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    replies,
    seen,
    /** Those for `path`. */
    seenAt: (path: string) => seen.filter((it) => it.path === path),
    until,
    /** Resolves when nobody waits for an answer. */
    untilQuiet: () => until(() => open === 0),
    close,
  }
}

function answer(response: ServerResponse, reply: Reply): void {
  if (reply === 'hang') return
  if (reply === 'cut') {
    response.writeHead(200, { 'Content-Length': '100' })
    response.write('{"action":')
    setImmediate(() => response.destroy())
    return
  }
  if (reply === 'endless') {
    const more = () => {
      while (!response.destroyed && response.write('x'.repeat(65_536)));
    }
    response.on('drain', more)
    more()
    return
  }
  const { status = 200, body = '', headers = {} } = reply
  response.writeHead(status, headers)
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}
