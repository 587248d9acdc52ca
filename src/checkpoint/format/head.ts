import { countOf, type Head, type LeftHead } from './frame.ts'
import { MAX_INDEX } from './index-set.ts'

/** Most items a `running` or `attempted` frame may name: what one chunk may hold. It has no body to hold it to. */
export const MAX_RUNNING = 1_000_000

const FAILURES: readonly unknown[] = ['error', 'timeout', 'crash', 'memory', 'serialization']

/**
 * `head` if it is what a writer of ours may have written, else undefined: a valid checksum says that bytes are as they were
 * written, not who wrote them. `bodyBytes` bounds how many items may be named: no codec writes less than a byte a value.
 */
export function checkHead(head: unknown, bodyBytes: number): Head | undefined {
  const given = head as Head
  return isHead(given, bodyBytes) ? given : undefined
}

function isHead(head: Head, bodyBytes: number): boolean {
  switch (head.kind) {
    case 'outcomes': {
      if (!isRuns(head.runs) || !isCounts(head.columns) || head.columns.length % 2 === 1) return false
      const count = countOf(head.runs)
      let items = 0
      let bytes = 0
      for (let at = 0; at < head.columns.length; at += 2) {
        items += head.columns[at] as number
        bytes += head.columns[at + 1] as number
      }
      if (items !== count || bytes !== bodyBytes || count > bodyBytes) return false
      return (
        (head.attempts === undefined || isColumn(head.attempts, count)) && (head.keys === undefined || isTexts(head.keys, count))
      )
    }
    case 'running':
      return isRuns(head.runs) && countOf(head.runs) <= MAX_RUNNING && (!head.hashes || isColumn(head.hashes, countOf(head.runs)))
    case 'attempted': {
      const count = countOf(head.runs)
      return (
        isRuns(head.runs) &&
        count <= MAX_RUNNING &&
        isColumn(head.attempts, count) &&
        isTimes(head.since, count) &&
        (head.crashes === undefined || isColumn(head.crashes, count)) &&
        (head.hashes === undefined || isColumn(head.hashes, count))
      )
    }
    case 'alone':
      return isIndex(head.index) && (head.hash === undefined || isCounts([head.hash]))
    case 'failure':
      return (
        isIndex(head.index) &&
        (head.key === undefined || typeof head.key === 'string') &&
        FAILURES.includes(head.failure) &&
        isCounts([head.attempts, head.crashes]) &&
        Number.isFinite(head.firstFailedAt) &&
        Number.isFinite(head.lastFailedAt)
      )
    case 'source':
      return isCounts([head.block, head.count]) && typeof head.digest === 'string'
    case 'total':
      return isCounts([head.count])
    case 'close':
      return (
        Number.isFinite(head.at) &&
        (head.hasFailed === undefined || head.hasFailed === true) &&
        (head.shard === undefined || typeof head.shard === 'string') &&
        (head.sizes === undefined || isCounts(head.sizes)) &&
        (head.settled === undefined || isCounts([head.settled])) &&
        (head.done === undefined || isCounts([head.done]))
      )
    case 'died':
      return (
        Array.isArray(head.writers) &&
        head.writers.every((writer) => typeof writer === 'string') &&
        (head.hasEnded === undefined || head.hasEnded === true) &&
        (head.left === undefined || (Array.isArray(head.left) && head.left.every(isLeft)))
      )
    case 'items':
      return (
        typeof head.list === 'string' &&
        (head.base === undefined || (typeof head.base === 'string' && head.base < head.list)) &&
        isCounts([head.from, head.count]) &&
        Array.isArray(head.keys) &&
        isTexts(head.keys, head.keys.length) &&
        head.from + head.keys.length <= Math.min(head.count, MAX_INDEX + 1)
      )
    case 'covers':
      return isFiles(head.files)
    case 'origin':
      return typeof head.stem === 'string'
    default:
      return false
  }
}

function isLeft(left: LeftHead): boolean {
  return typeof left?.writer === 'string' && isFiles(left.files) && (left.settled === undefined || isCounts([left.settled]))
}

function isFiles(files: LeftHead['files']): boolean {
  return Array.isArray(files) && files.every((file) => typeof file?.name === 'string' && isCounts([file.size]))
}

const isIndex = (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_INDEX

function isRuns(runs: unknown): boolean {
  if (!Array.isArray(runs) || runs.length % 2 === 1) return false
  for (let at = 0; at < runs.length; at += 2) {
    if (!isIndex(runs[at]) || !Number.isInteger(runs[at + 1]) || runs[at + 1] < 1 || !isIndex(runs[at] + runs[at + 1] - 1))
      return false
  }
  return true
}

function isCounts(values: unknown): boolean {
  return Array.isArray(values) && values.every((value) => Number.isSafeInteger(value) && value >= 0)
}

function isColumn(values: unknown, count: number): boolean {
  return isCounts(values) && (values as number[]).length === count
}

function isTimes(values: unknown, count: number): boolean {
  return Array.isArray(values) && values.length === count && values.every((value) => Number.isFinite(value))
}

function isTexts(values: unknown, count: number): boolean {
  return Array.isArray(values) && values.length === count && values.every((value) => typeof value === 'string')
}
