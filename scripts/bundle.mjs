// @ts-check
/**
 * Makes dist/, which is published, of the modules and declarations in build/: a thread comes up the sooner, the fewer
 * files it loads. A run of one item in one thread takes 20 ms of CPU less than from build/.
 *
 * Run it:  npm run build
 */
import { chmodSync, copyFileSync, cpSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { rolldown } from 'rolldown'
import { commentOptions } from './option-comments.mjs'

const root = join(import.meta.dirname, '..')
const from = join(root, 'build')
const to = join(root, 'dist')

/** Modules of build/, each with all that it imports. */
const modules = (/** @type {string[]} */ ...names) => new RegExp(`/build/(${names.join('|')})\\.js$`)

/**
 * Who is first takes what others import, too. `import 'pawl'` loads `pawl` and `shared`, a worker only `shared`, a run
 * `engine`, which starts a thread, and while that comes up `run`. `values` is for the codecs, which load it in workers
 * and so must not find it in `run` or `checkpoint`.
 */
const groups = [
  {
    name: 'shared',
    test: modules(
      'engine/run-items',
      'engine/loaded-run',
      'engine/program',
      'items/file-items',
      'is-record',
      'values/codec',
      'values/array-key',
      'version',
    ),
  },
  { name: 'pawl', test: modules('execute', 'executor', 'stored-runs', 'options/option-table', 'store/file', 'store/memory') },
  { name: 'values', test: modules('values/contract', 'values/misfit', 'values/proof', 'values/bytes') },
  { name: 'engine', test: modules('engines') },
  { name: 'run', test: modules('run/perform', 'run/perform-plan') },
  { name: 'checkpoint', test: modules('checkpoint/session/open', 'checkpoint/stored/runs', 'checkpoint/identity/digest-items') },
].map((group, at) => ({ ...group, priority: 9 - at }))

/**
 * Takes Node's own modules from the process instead of importing them: for each that is imported, in every thread anew, Node
 * makes an ES module with all it exports, and for that reads getters that load still others (bench/start-up.bench.mjs).
 *
 * @type {import('rolldown').Plugin}
 */
const builtinsFromProcess = {
  name: 'builtins-from-process',
  renderChunk: (code) =>
    code.replace(
      /^import \{([^}]*)\} from "(node:[^"]+)";/gm,
      (_, names, id) => `const {${names.replaceAll(' as ', ': ')}} = process.getBuiltinModule("${id}");`,
    ),
}

/**
 * Writes the version in, instead of reading package.json at run time: whoever bundles what is published leaves that behind.
 *
 * @type {import('rolldown').Plugin}
 */
const versionWrittenIn = {
  name: 'version-written-in',
  load: (id) => {
    if (id !== join(from, 'version.js')) return undefined
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    return `export const ownVersion = () => ${JSON.stringify(version)}`
  },
}

/**
 * Names as an import what is loaded in other ways, and never makes it: tools that gather the files of a program to deploy it
 * (nft, and so Next.js, Vercel and Nitro) follow imports, and left Piscina, msgpackr and what threads run behind.
 *
 * @type {import('rolldown').Plugin}
 */
const needsInSight = {
  name: 'needs-in-sight',
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle)) if (file.type === 'chunk') file.code += importsInSight(file.code)
  },
}

/** @param {string} code */
function importsInSight(code) {
  const needs = Array.from(code.matchAll(/\brequire(?:Here|\.resolve)?\("([^"]+)"\)/g), ([, id]) => id)
  if (code.includes('"./worker-entry.cjs"')) needs.push('./worker.js')
  const imports = [...new Set(needs)].map((id) => `import("${id}")`)
  return imports.length === 0 ? '' : `void (() => [${imports.join(', ')}]);\n`
}

/** @param {string} letter */
const escapeLetter = (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`

/**
 * Writes what is not ASCII as escapes: for one letter beyond Latin-1, V8 keeps a whole file in two bytes a letter. The same in
 * strings, templates and patterns; `String.raw` would show the difference (test/guards/bundle.test.ts).
 *
 * @type {import('rolldown').Plugin}
 */
const asciiOnly = {
  name: 'ascii-only',
  generateBundle(_, bundle) {
    for (const file of Object.values(bundle))
      if (file.type === 'chunk') file.code = file.code.replace(/[^\0-\x7f]/g, escapeLetter)
  },
}

rmSync(to, { recursive: true, force: true })
cpSync(from, to, { recursive: true, filter: (path) => path.endsWith('.d.ts') || statSync(path).isDirectory() })
const { listOptions } = await import(pathToFileURL(join(from, 'options/option-table.js')).href)
const declarations = join(to, 'options/options.d.ts')
writeFileSync(declarations, commentOptions(readFileSync(declarations, 'utf8'), listOptions()))
const bundle = await rolldown({
  input: {
    index: join(from, 'index.js'),
    worker: join(from, 'engine/worker.js'),
    'cli/main': join(from, 'cli/main.js'),
    'cli/scan': join(from, 'cli/scan.js'),
  },
  external: /^[^./]/,
  platform: 'node',
  plugins: [builtinsFromProcess, versionWrittenIn, needsInSight, asciiOnly],
})
await bundle.write({
  dir: to,
  chunkFileNames: ({ facadeModuleId, moduleIds }) =>
    (facadeModuleId ?? moduleIds[0])?.startsWith(join(from, 'cli')) ? 'cli/[name].js' : '[name].js',
  codeSplitting: { groups },
})
await bundle.close()
chmodSync(join(to, 'cli/main.js'), 0o755) // A package manager does so once, when it links the command.
copyFileSync(join(from, 'engine/worker-entry.cjs'), join(to, 'worker-entry.cjs')) // Finds worker.js beside it, here as there.
