// @ts-check

/** @typedef {import('../src/options/option-values.ts').OptionSpec} OptionSpec */

/** The types whose fields are options, and what comes before their names in the table of options. @type {Record<string, string>} */
const PREFIXES = {
  ExecuteOptions: '',
  RetryOptions: 'retry.',
  BreakerOptions: 'breaker.',
  CheckpointOptions: 'checkpoint.',
  PreemptOptions: 'preempt.',
  WorkerLimits: 'resourceLimits.',
}

/**
 * The declarations of `src/options/options.ts` with what the table says of each option before its field, for editors to show:
 * so it is written once. Throws when a field has no row, or a row no field.
 *
 * @param {string} declarations
 * @param {readonly { name: string, spec: OptionSpec }[]} options
 */
export function commentOptions(declarations, options) {
  const specs = new Map(options.map(({ name, spec }) => [name, spec]))
  /** @type {string | undefined} */
  let prefix
  const lines = declarations.split('\n').flatMap((line) => {
    const [, type] = /^export interface (\w+)/.exec(line) ?? []
    if (type !== undefined) prefix = PREFIXES[type]
    const [, field] = /^ {4}(\w+)\??:/.exec(line) ?? []
    if (prefix === undefined || field === undefined) return [line]
    const spec = specs.get(prefix + field)
    if (!spec)
      throw new Error(`Cannot describe option '${prefix}${field}': expected a row in src/options/option-table.ts, got none`)
    specs.delete(prefix + field)
    return [...describe(spec).map((text) => `    ${text}`), line]
  })
  if (specs.size > 0)
    throw new Error(`Cannot describe option '${[...specs.keys()][0]}': expected a field in src/options/options.ts, got none`)
  return lines.join('\n')
}

/** @param {OptionSpec} spec */
function describe({ help, expected, default: standard }) {
  return [
    '/**',
    ` * ${help.charAt(0).toUpperCase()}${help.slice(1)}.`,
    ' *',
    ` * Expected: ${expected}. Default: ${standard}.`,
    ' */',
  ]
}
