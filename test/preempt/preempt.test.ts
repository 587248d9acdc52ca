import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { detectCloud } from '../../src/preempt/detect.ts'
import { serve } from './metadata-server.ts'
import { watched } from './watched.ts'

/** A sysfs with these files. */
function sysfs(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'pawl-sys-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), `${text}\n`)
  }
  return root
}

const dmi = (files: Record<string, string>) =>
  sysfs(Object.fromEntries(Object.entries(files).map(([name, text]) => [`class/dmi/id/${name}`, text])))

describe('detectCloud()', () => {
  test.each([
    ['aws', 'EC2 on Nitro', { sys_vendor: 'Amazon EC2', product_name: 'm5.large', board_asset_tag: 'i-0123456789abcdef0' }],
    ['aws', 'EC2 on Xen', { sys_vendor: 'Xen', product_version: '4.11.amazon' }],
    ['gcp', 'Compute Engine', { sys_vendor: 'Google', product_name: 'Google Compute Engine' }],
    ['gcp', 'Compute Engine under another vendor', { sys_vendor: 'x', product_name: 'Google Compute Engine' }],
    ['azure', 'Azure', { sys_vendor: 'Microsoft Corporation', chassis_asset_tag: '7783-7084-3265-9085-8269-3286-77' }],
    ['azure', 'Azure by its board', { board_asset_tag: '7783-7084-3265-9085-8269-3286-77' }],
    [undefined, 'Hyper-V at home', { sys_vendor: 'Microsoft Corporation', chassis_asset_tag: '1234-5678' }],
    [undefined, 'Xen at home', { sys_vendor: 'Xen', product_version: '4.11' }],
    [undefined, 'a laptop', { sys_vendor: 'LENOVO', product_name: '20XW' }],
    [undefined, 'a Chromebook', { sys_vendor: 'GOOGLE', product_name: 'Eve' }],
    [undefined, 'a machine that says nothing', {}],
  ])('finds %s for %s', (cloud, _, files) => {
    expect(detectCloud(dmi(files as Record<string, string>))).toBe(cloud)
  })

  test('finds EC2 by the id of a Xen guest, and no cloud where there is no sysfs', () => {
    expect(detectCloud(sysfs({ 'hypervisor/uuid': 'ec2e1916-9099-7caf-fd21-012345abcdef' }))).toBe('aws')
    expect(detectCloud(sysfs({ 'hypervisor/uuid': '4b1b2a6c-9099-7caf-fd21-012345abcdef' }))).toBeUndefined()
    expect(detectCloud(join(tmpdir(), 'pawl-no-such-sysfs'))).toBeUndefined()
  })
})

describe('watchPreemption()', () => {
  const listeners = () => process.listenerCount('SIGTERM') + process.listenerCount('SIGINT')

  test.each(['SIGTERM', 'SIGINT'] as const)('%s is a notice, given once; the same soon again is no second one', async (name) => {
    const before = listeners()
    const { notices } = watched({ signals: true })
    expect(listeners()).toBe(before + 2)
    process.emit(name)
    expect(listeners()).toBe(before + 1)
    expect(process.emit(name)).toBe(true) // Somebody listens, so it does not end the process.
    expect(notices).toEqual([])
    await expect.poll(() => notices.length).toBe(1)
    expect(listeners()).toBe(before) // What is sent in answer ends the process.
    expect(notices.map(({ message }) => message)).toEqual([`The process was asked to end by ${name}`])
  })

  test('a first signal behind the notice of a cloud has its default effect no more than one alone', async () => {
    const before = listeners()
    const action = { body: { action: 'terminate', time: '2026-01-01T08:22:00Z' } }
    const { url: baseUrl } = await serve({ '/latest/meta-data/spot/instance-action': action })
    const { notices, noticed } = watched({ signals: true, aws: { baseUrl } })
    await noticed
    expect(process.emit('SIGTERM')).toBe(true)
    expect(notices.map(({ message }) => message)).toEqual([expect.stringContaining('AWS gave notice')])
    await expect.poll(listeners).toBe(before)
  })

  test('close() takes the listeners back', () => {
    const before = listeners()
    const { close } = watched({ signals: true })
    close()
    close()
    expect(listeners()).toBe(before)
  })

  test('a signal ends the questions too', async () => {
    const service = await serve({ '/metadata/scheduledevents': 'hang' })
    const { noticed } = watched({ signals: true, azure: { baseUrl: service.url } })
    await service.until(() => service.seen.length === 1)
    process.emit('SIGTERM')
    await noticed
    await service.untilQuiet()
  })

  test("'auto' on a machine of no cloud listens for signals, asks nobody and warns of nothing", async () => {
    const { clock, notices, warnings } = watched('auto', dmi({ sys_vendor: 'LENOVO' }))
    expect(clock.count()).toBe(0)
    process.emit('SIGINT')
    await expect.poll(() => notices.length).toBe(1)
    expect(warnings).toEqual([])
  })

  test.each([
    ['aws', { sys_vendor: 'Amazon EC2' }, [1000]],
    ['gcp', { sys_vendor: 'Google' }, [35_000, 35_000]],
    ['azure', { chassis_asset_tag: '7783-7084-3265-9085-8269-3286-77' }, [130_000]],
  ])("'auto' on %s asks that cloud, besides listening for signals", async (_, files, timeouts) => {
    const before = listeners()
    const { clock, close } = watched('auto', dmi(files as Record<string, string>))
    expect(listeners()).toBe(before + 2)
    await Promise.all(timeouts.map((timeout) => clock.asleep(timeout)))
    close() // These are the clouds' real addresses: no more than a connection is begun.
  })

  test('nothing asked for is nothing watched', () => {
    const before = listeners()
    const { clock } = watched({ signals: false, aws: false })
    expect([clock.count(), listeners() - before]).toEqual([0, 0])
  })

  test('three clouds out of reach are one warning, and no warning of leaking listeners', async () => {
    const leaks: Error[] = []
    const onWarning = (warning: Error) => leaks.push(warning)
    process.on('warning', onWarning)
    onTestFinished(() => void process.removeListener('warning', onWarning))
    const service = await serve({})
    await service.close()
    const { url: baseUrl } = service
    const { clock, warnings } = watched({ signals: true, aws: { baseUrl }, gcp: { baseUrl }, azure: { baseUrl } })
    for (let round = 0; round < 6; round++) {
      await Promise.all([clock.asleep(2000, 2), clock.asleep(1000, 3)])
      clock.advance(2000)
    }
    expect(warnings).toHaveLength(1)
    expect(leaks).toEqual([])
  })
})
