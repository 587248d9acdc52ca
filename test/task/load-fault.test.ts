import { join } from 'node:path'
import { execute } from 'pawl'
import { describe, expect, test } from 'vitest'
import { project } from '../cli/pawl.ts'

/** Node strips types by itself since 22.18. */
const runsTypeScript = Boolean((process.features as { typescript?: unknown }).typescript)

const COMMONJS = { 'package.json': { type: 'commonjs' } }
const MODULE = { 'package.json': { type: 'module' } }
const WAITS = { 'waits.mjs': 'await 1\nexport default (item) => item' }

type Case = [what: string, files: Record<string, string | object>, message: string]

/** The first file of each is the task; `DIR` in a message is their folder. */
const CASES: Case[] = [
  [
    'an ES module in .js of a CommonJS package',
    { 'a.js': 'export default (item) => item', ...COMMONJS },
    'got Unexpected token \'export\' (DIR/a.js:1). Node takes it for CommonJS: name it .mjs, or put "type": "module" into the package.json nearest to it',
  ],
  [
    'an import in such a file',
    { 'a.js': '\nimport "node:fs"\nexport default (item) => item', ...COMMONJS },
    'got Cannot use import statement outside a module (DIR/a.js:2). Node takes it for CommonJS: name it .mjs, or put "type": "module" into the package.json nearest to it',
  ],
  [
    'an ES module in .cjs',
    { 'a.cjs': 'export default (item) => item', ...MODULE },
    "got Unexpected token 'export' (DIR/a.cjs:1). Node takes it for CommonJS, as its name says: name it .mjs",
  ],
  [
    'one that the task imports',
    { 'a.mjs': 'export { default } from "./b.js"', 'b.js': 'export default (item) => item', ...COMMONJS },
    "got Unexpected token 'export' (DIR/b.js:1). Node takes it for CommonJS",
  ],
  [
    'CommonJS in .js of a package of ES modules',
    { 'a.js': 'module.exports = (item) => item', ...MODULE },
    'got module is not defined in ES module scope (DIR/a.js:1). Node takes it for an ES module: use import and export there, or name it .cjs',
  ],
  [
    'require() in an ES module',
    { 'a.mjs': '\nconst fs = require("node:fs")\nexport default (item) => item' },
    'got require is not defined in ES module scope, you can use import instead (DIR/a.mjs:2). Node takes it for an ES module',
  ],
  [
    'require() of an ES module that waits',
    { 'a.cjs': 'module.exports = require("./waits.mjs").default', ...WAITS },
    'Use import in place of that require(), in a file named .mjs',
  ],
  [
    'a package that is not installed',
    { 'a.mjs': 'import "no-such-package"\nexport default (item) => item' },
    "got Cannot find package 'no-such-package' imported from DIR/a.mjs. Install that package where the task lies, or mend its name",
  ],
  [
    'a package that is not installed, required',
    { 'a.cjs': 'require("no-such-package")' },
    "got Cannot find module 'no-such-package' (DIR/a.cjs). Install that package where the task lies, or mend its name",
  ],
  [
    'an import without extension',
    { 'a.mjs': 'import "./b"\nexport default (item) => item', 'b.mjs': '' },
    "got Cannot find module 'DIR/b' imported from DIR/a.mjs. Mend that path: it is relative to the file that names it, and an import needs the extension, too",
  ],
  [
    'an import of a name that is not exported',
    { 'a.mjs': '\nimport { none } from "./b.mjs"\nexport default none', 'b.mjs': 'export const some = 1' },
    "got The requested module './b.mjs' does not provide an export named 'none' (DIR/a.mjs:2). Mend that name",
  ],
  [
    'a syntax error in CommonJS',
    { 'a.cjs': '\nmodule.exports = )' },
    "got Unexpected token ')' (DIR/a.cjs:2). Mend the syntax there",
  ],
  [
    'a syntax error in an ES module, of which Node does not say where',
    { 'a.mjs': 'export default (' },
    'got Unexpected end of input. To see in which line: node DIR/a.mjs',
  ],
  [
    'a module that throws',
    { 'a.mjs': '\n\nthrow new Error("out of order")' },
    'got out of order (DIR/a.mjs:3). It was thrown while the module was imported; to see the whole stack: node DIR/a.mjs',
  ],
  [
    'a module that throws a SyntaxError of its own making',
    { 'a.mjs': '\nJSON.parse("")' },
    'got Unexpected end of JSON input (DIR/a.mjs:2). It was thrown while the module was imported',
  ],
  [
    'a module that throws no error',
    { 'a.mjs': 'throw "out of order"' },
    'got out of order. It was thrown while the module was imported; to see the whole stack: node DIR/a.mjs',
  ],
  [
    'a module without functions',
    { 'a.mjs': 'export const n = 1' },
    "expected a function or a task as its default export, got nothing. It exports no function: write 'export default' before the one to run",
  ],
  [
    'a module without a default export',
    { 'a.mjs': 'export const double = (n) => n * 2' },
    "It exports 'double': name it, as DIR/a.mjs#double on the command line, or { module, export } in a program",
  ],
]
const TYPED: Case[] = [
  [
    'what is more than types',
    { 'a.ts': 'enum Kind { A }\nexport default () => Kind.A', ...MODULE },
    'got TypeScript enum is not supported in strip-only mode (DIR/a.ts:1). Node only takes types away: do without what needs more, such as enums, or compile it to JavaScript first',
  ],
  [
    'an ES module in .ts of a CommonJS package',
    { 'a.ts': 'export default (item: number) => item', ...COMMONJS },
    '(DIR/a.ts:1). Node takes it for CommonJS: name it .mts, or put',
  ],
]
const UNTYPED: Case[] = [
  [
    'TypeScript',
    { 'a.ts': 'export default (item: number) => item', ...MODULE },
    'got Unknown file extension ".ts" for DIR/a.ts. Use Node 22.18 or later, or compile it to JavaScript first',
  ],
]

describe('a task that cannot be loaded says what is wrong, where, and what to do: of', () => {
  test.each([...CASES, ...(runsTypeScript ? TYPED : UNTYPED)])('%s', async (_, files, message) => {
    const { directory: folder } = project({ 'package.json': '{}', ...files })
    const task = join(folder, Object.keys(files)[0] as string)
    // Of what a module imports Node 20 tells the process by itself as well, which would end this one.
    for (const mode of 'b.js' in files ? (['threads'] as const) : (['threads', 'inline'] as const)) {
      const error = await execute(task, [1, 2], { mode, workers: 1 }).catch((it) => it)
      expect(error).toMatchObject({ name: 'TaskLoadError', code: 'ERR_PAWL_TASK_LOAD' })
      expect(error.message).toMatch(new RegExp(`^Cannot load task '${folder}/a\\.\\w+': expected `))
      expect(error.message).toContain(message.replaceAll('DIR', folder))
    }
  })

  test('a file of the working directory, by its path from there', async () => {
    const { pawl } = project({ 'tasks/a.js': '\nthrow new Error("out of order")', 'in.jsonl': '1\n' })
    expect(await pawl('run', 'tasks/a.js', '--input', 'in.jsonl', '--quiet')).toMatchObject({
      code: 2,
      stderr:
        "pawl: Cannot load task 'tasks/a.js': expected its import to succeed, got out of order (tasks/a.js:2). It was thrown while the module was imported; to see the whole stack: node tasks/a.js\n",
    })
  })

  test('a file that is not there, with the directory it was looked for in', async () => {
    await expect(execute('./no-such.mjs', [1])).rejects.toThrow(
      `Cannot load task 'no-such.mjs': expected a file that can be read, got ENOENT: no such file or directory, open '${join(process.cwd(), 'no-such.mjs')}'. A path is relative to the working directory, ${process.cwd()}`,
    )
  })
})
