// @ts-check
/**
 * Writes the generated parts of README.md: the option table from src/options/option-table.ts, the tables of figures from
 * bench/results/. Writes docs/performance.md and its charts.
 *
 * Run it:  npm run docs
 *
 * A generated part stands between `<!-- generated: NAME -->` and `<!-- /generated -->`. test/guards/readme.test.ts
 * compares it with what this makes of the sources.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { describeCheckpoints, describeChunkSizes, describeFormats, describeStages, describeStartUp } from './bench-tables.mjs'
import { makePerformance, peersBlock } from './performance.mjs'

const root = join(import.meta.dirname, '..')
const file = join(root, 'README.md')

/** The text with every generated part made anew. @param {string} text */
export async function generate(text) {
  const { listOptions } = await import(pathToFileURL(join(root, 'build/options/option-table.js')).href)
  /** @type {Record<string, () => string>} */
  const parts = {
    options: () => tableOfOptions(listOptions()),
    formats: () => figures('formats', describeFormats),
    checkpoints: () => figures('checkpoints', describeCheckpoints),
    peers: peersBlock,
    'chunk sizes': () => figures('chunk-size', describeChunkSizes),
    stages: () => figures('stages', describeStages),
    'start-up': () => figures('start-up', describeStartUp),
  }
  return text.replace(/<!-- generated: (.+?) -->\n[^]*?<!-- \/generated -->/g, (_, /** @type {string} */ name) => {
    const make = parts[name]
    if (!make) throw new Error(`Cannot generate '${name}' of README.md: expected one of ${Object.keys(parts).join(', ')}`)
    return `<!-- generated: ${name} -->\n\n${make()}\n\n<!-- /generated -->`
  })
}

/** @param {{ name: string, spec: import('../src/options/option-values.ts').OptionSpec }[]} options */
function tableOfOptions(options) {
  const cell = (/** @type {string} */ text) => text.replaceAll('|', '\\|')
  const rows = options.map(({ name, spec }) => {
    const flag = spec.flag ? ` \`${spec.flag}\`` : ''
    return `| \`${name}\` | \`${cell(spec.type)}\` | ${cell(spec.default)} | ${cell(spec.help)} |${flag} |`
  })
  return ['| option | type | default | meaning | flag |', '| --- | --- | --- | --- | --- |', ...rows].join('\n')
}

/** What a bench found, or how to get them. @param {string} name @param {(results: any) => string} describe */
function figures(name, describe) {
  const path = join(root, 'bench/results', `${name}.json`)
  if (!existsSync(path)) return 'Not measured yet: `npm run bench` fills this in.'
  const results = JSON.parse(readFileSync(path, 'utf8'))
  const { cpu, cores, memory, node } = results.machine
  const where = `${cpu}, ${cores} cores, ${memory} GiB, Node ${node.replace(/^v/, '')}, ${results.date.slice(0, 10)}`
  return `${describe(results)}\n\nMeasured by \`bench/${name}.bench.mjs\` on ${where}.`
}

if (process.argv[1] === import.meta.filename) {
  writeFileSync(file, await generate(readFileSync(file, 'utf8')))
  for (const [path, content] of Object.entries(makePerformance())) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), content)
  }
}
