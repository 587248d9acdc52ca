// @ts-check
/** The figures of README.md, each made of the results of one bench. Times in ms, sizes in bytes unless a name says otherwise. */

/** @param {{ chunk: number, values: { records: number, format: string, save: number, load: number, bytes: number, saveToJson: number, loadToJson: number, bytesToJson: number }[], indices: { format: string, items: number, load: number }[] }} results */
export function describeFormats({ chunk, values, indices }) {
  const rows = values.map((it) => [
    it.records.toLocaleString('en'),
    it.format,
    `${duration(it.save)} (${it.saveToJson.toFixed(2)})`,
    `${duration(it.load)} (${it.loadToJson.toFixed(2)})`,
    `${bytes(it.bytes)} (${it.bytesToJson.toFixed(2)})`,
  ])
  const largest = values.findLast((it) => it.format === 'msgpack')
  const summary =
    largest &&
    `Of ${largest.records.toLocaleString('en')} records msgpack takes ${largest.saveToJson.toFixed(2)} of the time of JSON to save, ` +
      `${largest.loadToJson.toFixed(2)} of it to load, and ${largest.bytesToJson.toFixed(2)} of the bytes. `
  const found = indices.map((it) => `${duration(it.load)} (${it.format})`).join(', ')
  return (
    `${summary}To find out which of ${indices[0]?.items.toLocaleString('en')} items are done takes ${found}. ` +
    `In chunks of ${chunk}, as a share of JSON in brackets; the disk is not part of it:\n\n` +
    table(['records', 'format', 'save', 'load', 'size'], rows, 2)
  )
}

/** @param {{ records: number, jsonBytes: number, runs: { every: number, format: string, checkpoints: number, bytes: number, bytesToJson: number, wall: number, wallWithout: number, inCheckpoints: number, rewriting: number, rewritingToCheckpoints: number }[] }} results */
export function describeCheckpoints({ records, jsonBytes, runs }) {
  const rows = runs.map((it) => [
    String(it.every),
    it.format,
    String(it.checkpoints),
    `${bytes(it.bytes)} (${it.bytesToJson.toFixed(2)})`,
    duration(it.wall),
    duration(it.wallWithout),
    duration(it.inCheckpoints),
    `${duration(it.rewriting)} (× ${it.rewritingToCheckpoints.toFixed(0)})`,
  ])
  const head = [
    'every',
    'format',
    'flushes',
    'written',
    'run',
    'run without',
    'in checkpoints',
    'if all were rewritten each time',
  ]
  return `${records.toLocaleString('en')} four-field records, ${bytes(jsonBytes)} as JSON; \`written\` as a multiple of that in brackets. \`in checkpoints\` is from the start of each flush to its end, most of it waiting for the disk:\n\n${table(head, rows, 2)}`
}

/** @typedef {{ median: number, least: number }} Times */

/** @param {{ workers: number, serialTime: number, workloads: { microsPerItem: number, best: string, bestPiscina: string, autoToBest: { ratio: number, least: number }, times: Record<string, Times> }[], carrying: { size: number, extra: number }[] }} results */
export function describeChunkSizes({ workers, serialTime, workloads, carrying }) {
  const rows = workloads.map(({ microsPerItem, best, bestPiscina, autoToBest, times }) => {
    const took = (/** @type {string} */ name) => duration(/** @type {Times} */ (times[name]).median)
    const byHand = (/** @type {string} */ name) => `${took(name)} (${name.replace(/\D/g, '')})`
    const ratio = `${autoToBest.ratio.toFixed(2)} (${autoToBest.least.toFixed(2)})`
    return [duration(microsPerItem / 1000), took('pawl auto'), byHand(best), ratio, byHand(bestPiscina), took('Piscina per item')]
  })
  const head = [
    'an item takes',
    'pawl',
    'pawl, best size by hand',
    'ratio',
    'Piscina, best size by hand',
    'Piscina, item by item',
  ]
  return `${duration(serialTime)} of work on ${workers} workers; threads coming up and going down count for all alike; \`ratio\` is the median of the rounds, in brackets that of the least times:\n\n${table(head, rows)}\n\n${describeCarrying(carrying)}`
}

/** @param {{ size: number, extra: number }[]} carrying */
function describeCarrying(carrying) {
  const added = carrying.map((it) => it.extra)
  const sizes = carrying.map((it) => it.size)
  return (
    `To carry an item costs pawl between ${asDifference(Math.min(...added))} and ${asDifference(Math.max(...added))} than Piscina, both on ` +
    `warm pools and in chunks of the same size, ${Math.min(...sizes)} to ${Math.max(...sizes).toLocaleString('en')} items.`
  )
}

/** @param {number} added in µs */
const asDifference = (added) => `${Math.abs(added).toFixed(2)} µs ${added < 0 ? 'less' : 'more'}`

/** @param {{ results: { microsPerItem: number, stage: string, extraMicros: number, toOff: number }[] }} results */
export function describeStages({ results }) {
  const loads = [...new Set(results.map((it) => it.microsPerItem))]
  const stages = [...new Set(results.map((it) => it.stage))].filter((stage) => stage !== 'off')
  const rows = stages.map((stage) => [
    stage === 'off, again' ? 'all off, measured again' : stage,
    ...loads.map((load) => {
      const found = results.find((it) => it.stage === stage && it.microsPerItem === load)
      return found ? `${found.extraMicros.toFixed(2)} µs (${found.toOff.toFixed(2)})` : ''
    }),
  ])
  const head = ['stage', ...loads.map((load) => `items of ${duration(load / 1000)}`)]
  return `More than with all stages off, per item, and the run's time as a multiple in brackets. The first row is what the measurement cannot resolve:\n\n${table(head, rows)}`
}

/** @param {{ importExtra: number, bytesPerWorker: number }} results */
export function describeStartUp({ importExtra, bytesPerWorker }) {
  return `\`import 'pawl'\` takes ${duration(Math.abs(importExtra))} ${importExtra < 0 ? 'less' : 'more'} than \`import 'piscina'\`. An idle worker weighs ${bytes(bytesPerWorker)}.`
}

/** @param {readonly string[]} head @param {readonly (readonly string[])[]} rows @param {number} [left] columns of text */
export function table(head, rows, left = 1) {
  const line = (/** @type {readonly string[]} */ cells) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, at) => (at < left ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

/** `3.1 h`, `1.5 s`, `12 ms`, `10 µs`. @param {number} ms */
export function duration(ms) {
  const [value, unit] =
    ms >= 7.2e6 ? [ms / 3.6e6, 'h'] : ms >= 1000 ? [ms / 1000, 's'] : ms >= 1 || ms === 0 ? [ms, 'ms'] : [ms * 1000, 'µs']
  return `${Number(value.toPrecision(3))} ${unit}`
}

/** `1.5 GB`, `1.5 MB`, `12 kB`, `8 B`. @param {number} count */
export function bytes(count) {
  const [value, unit] =
    count >= 1e9 ? [count / 1e9, 'GB'] : count >= 1e6 ? [count / 1e6, 'MB'] : count >= 1000 ? [count / 1000, 'kB'] : [count, 'B']
  return `${Number(value.toPrecision(3))} ${unit}`
}
