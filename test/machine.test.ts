import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { countCores, countWorkers, memoryLimit } from '../src/machine.ts'

/** A cgroup hierarchy with `files` in it, and the process in `path`. */
function cgroup(path: string, files: Record<string, string>): [root: string, membership: string] {
  const root = mkdtempSync(join(tmpdir(), 'pawl-cgroup-'))
  onTestFinished(() => rmSync(root, { recursive: true }))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  writeFileSync(join(root, 'membership'), `12:cpu:/old\n0::${path}\n`)
  return [root, join(root, 'membership')]
}

test('countCores() respects the quota of the process and of all above it, rounded down, at least 1', () => {
  expect(countCores(...cgroup('/', {}))).toBe(availableParallelism())
  expect(countCores(...cgroup('/a/b', { 'cpu.max': 'max 100000\n', 'a/b/cpu.max': '150000 100000\n' }))).toBe(1)
  expect(countCores(...cgroup('/a/b', { 'a/cpu.max': '50000 100000', 'a/b/cpu.max': 'max 100000' }))).toBe(1)
  expect(countCores(...cgroup('/a', { 'a/cpu.max': '9900000 100000' }))).toBe(availableParallelism())
  expect(countCores(...cgroup('/a', { 'a/cpu.max': 'garbage' }))).toBeGreaterThanOrEqual(1)
  expect(countCores('/nowhere', '/nowhere')).toBe(availableParallelism())
})

test('memoryLimit() is the least of the machine and its cgroups', () => {
  expect(memoryLimit(...cgroup('/', {}))).toBe(totalmem())
  expect(memoryLimit(...cgroup('/a/b', { 'a/memory.max': '1000000\n', 'a/b/memory.max': 'max\n' }))).toBe(1_000_000)
  expect(memoryLimit(...cgroup('/a', { 'a/memory.max': String(2 ** 62) }))).toBe(totalmem())
  expect(memoryLimit(...cgroup('/../../etc', { 'memory.max': '5000' }))).toBe(5000)
})

test('countWorkers() is at least 1, however large the heap of each', () => {
  expect(countWorkers(undefined)).toBeGreaterThanOrEqual(1)
  expect(countWorkers(undefined)).toBeLessThanOrEqual(availableParallelism())
  expect(countWorkers(10_000_000)).toBe(1)
})
