// @ts-check
import { mkdir, writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import Table from 'cli-table3'

/** The machine a result was measured on. Memory in GiB. */
export function describeMachine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memory: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform} ${process.arch}`,
    node: process.version,
  }
}

/**
 * Writes bench/results/<name>.json, times in ms and sizes in bytes unless a field says otherwise.
 *
 * @param {string} name
 * @param {{ others?: number, [field: string]: unknown }} results `others`: share of all cores that other processes took meanwhile
 */
export async function saveResults(name, results) {
  if (results.others !== undefined)
    console.log(`other processes took ${(results.others * 100).toFixed(0)} % of the cores meanwhile`)
  const directory = join(import.meta.dirname, 'results')
  await mkdir(directory, { recursive: true })
  const content = { bench: name, date: new Date().toISOString(), machine: describeMachine(), ...results }
  await writeFile(join(directory, `${name}.json`), `${JSON.stringify(content, round, 2)}\n`)
}

/** Five digits are more than any of this repeats. @param {string} _ @param {unknown} value */
function round(_, value) {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
}

/**
 * @param {string} title
 * @param {readonly string[]} head
 * @param {readonly (readonly (string | number)[])[]} rows
 */
export function printTable(title, head, rows) {
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colAligns: head.map((_, i) => (i === 0 ? 'left' : 'right')),
  })
  table.push(...rows.map((row) => [...row]))
  console.log(`\n${title}\n${table.toString()}`)
}
