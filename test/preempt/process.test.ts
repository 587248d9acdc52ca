import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import { serve } from './metadata-server.ts'

/** A process that watches; `lines` is what it prints. */
function watching(option: object, hold: boolean, env: NodeJS.ProcessEnv = {}) {
  const args = [join(import.meta.dirname, 'watch.child.mjs'), JSON.stringify(option), ...(hold ? ['hold'] : [])]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...env } })
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const nextLine = async () => (await lines.next()).value
  return { child, nextLine, ended: once(child, 'exit') }
}

test('a watch that nobody closed does not keep the process, whatever hangs', async () => {
  const { url: baseUrl } = await serve({
    '/latest/meta-data/spot/instance-action': 'hang',
    '/computeMetadata/v1/instance/preempted': 'hang',
    '/metadata/scheduledevents': 'hang',
  })
  const { ended } = watching({ aws: { baseUrl }, gcp: { baseUrl }, azure: { baseUrl } }, false)
  expect(await ended).toEqual([0, null])
})

test('the second signal has its default effect', async () => {
  const { child, nextLine, ended } = watching({ signals: true }, true)
  expect(await nextLine()).toBe('watching')
  child.kill('SIGTERM')
  expect(await nextLine()).toBe('The process was asked to end by SIGTERM')
  child.kill('SIGINT')
  expect(await ended).toEqual([null, 'SIGINT'])
})

test('proxies are passed by', async () => {
  const proxy = await serve({})
  const service = await serve({
    '/latest/meta-data/spot/instance-action': { body: { action: 'stop', time: '2026-01-01T08:22:00Z' } },
  })
  const { nextLine } = watching({ aws: { baseUrl: service.url } }, true, {
    HTTP_PROXY: proxy.url,
    http_proxy: proxy.url,
    ALL_PROXY: proxy.url,
    NO_PROXY: '',
    no_proxy: '',
    NODE_USE_ENV_PROXY: '1', // Node 24 obeys the others only with this.
  })
  expect(await nextLine()).toBe('watching')
  expect(await nextLine()).toMatch(/it will stop this spot instance/)
  expect(proxy.seen).toEqual([])
})

test('a worker thread, which gets no signals, is told so, once and only where it asked for them', async () => {
  const worker = new Worker(join(import.meta.dirname, 'thread.child.mjs'))
  const [warnings] = await once(worker, 'message')
  expect(warnings).toEqual([{ code: 'SIGNALS_UNHEARD', message: expect.stringContaining("abort the option 'signal' there") }])
  await worker.terminate()
})
