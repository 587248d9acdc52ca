import { relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf, plural, TaskLoadError } from '../errors.ts'
import { DENIED, nameError } from '../store/errno.ts'

/** Why a task's module cannot be loaded, where, and what to do, in one message. */

/** What is known of an import that failed. */
interface Fault {
  readonly code: string | undefined
  /** Its first line: behind it Node lists what led there, and gives advice that fits programs. */
  readonly message: string
  readonly isSyntax: boolean
  /** `file.js:3`; undefined where Node does not say, as of a syntax error in an ES module. */
  readonly where: string | undefined
  /** The module, if it is one in a file. */
  readonly file: string | undefined
}

/** The first that fits is told. */
const ADVICE: readonly (readonly [fits: (fault: Fault) => boolean, advice: (fault: Fault) => string])[] = [
  [
    ({ code, message }) => code === UNKNOWN_EXTENSION && isTypeScript(message),
    () => 'Use Node 22.18 or later, or compile it to JavaScript first',
  ],
  [({ code }) => code === DENIED, () => 'Give node that flag'],
  [({ code }) => code === UNKNOWN_EXTENSION, () => 'A task is a module: .js, .mjs or .cjs'],
  [
    (fault) => isTakenForCommonJs(fault) && /\.c[jt]s\b/.test(fault.where ?? ''),
    ({ where }) => `Node takes it for CommonJS, as its name says: name it ${moduleExtension(where)}`,
  ],
  [
    isTakenForCommonJs,
    ({ where }) =>
      `Node takes it for CommonJS: name it ${moduleExtension(where)}, or put "type": "module" into the package.json nearest to it`,
  ],
  [
    ({ message }) => / in ES module scope/.test(message),
    () => 'Node takes it for an ES module: use import and export there, or name it .cjs',
  ],
  [
    ({ code }) => code === 'ERR_REQUIRE_ESM' || code === 'ERR_REQUIRE_ASYNC_MODULE',
    () => 'Use import in place of that require(), in a file named .mjs',
  ],
  [
    ({ code, message }) => isNotFound(code) && /package '|module '[^./]/.test(message),
    () => 'Install that package where the task lies, or mend its name',
  ],
  [
    ({ code }) => isNotFound(code),
    () => 'Mend that path: it is relative to the file that names it, and an import needs the extension, too',
  ],
  [
    ({ message }) => /does not provide an export|^Named export/.test(message),
    () => 'Mend that name, or import the default export',
  ],
  [
    ({ code }) => code === 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX',
    () => 'Node only takes types away: do without what needs more, such as enums, or compile it to JavaScript first',
  ],
  [({ code }) => code === 'ERR_UNSUPPORTED_NODE_MODULES_TYPE_STRIPPING', () => 'Compile it to JavaScript first'],
  [({ isSyntax, where }) => isSyntax && where !== undefined, () => 'Mend the syntax there'],
  [({ isSyntax, file }) => isSyntax && file !== undefined, ({ file }) => `To see in which line: node ${file}`],
  [
    ({ file }) => file !== undefined,
    ({ file }) => `It was thrown while the module was imported; to see the whole stack: node ${file}`,
  ],
]

/** An import that failed, with `error`. */
export function explainImport(url: string, error: unknown): TaskLoadError {
  const fault = describe(url, error)
  const { code, message, where } = fault
  const expected = code === UNKNOWN_EXTENSION ? `a file Node ${process.versions.node} can run` : 'its import to succeed'
  const advice = ADVICE.find(([fits]) => fits(fault))?.[1](fault)
  const place = where === undefined || message.includes(where) ? '' : ` (${where})`
  const sentence = `Cannot load task '${nameModule(url)}': expected ${expected}, got ${message}${place}`
  return new TaskLoadError(advice === undefined ? sentence : `${sentence.replace(/\.$/, '')}. ${advice}`, { cause: error })
}

/** The export `name`, `found`, that is no task; `names`: those that are. */
export function explainExport(url: string, name: string, found: unknown, names: readonly string[]): TaskLoadError {
  const module = nameModule(url)
  const expected = name === 'default' ? 'its default export' : `export '${name}'`
  const got = found === undefined ? 'nothing' : typeof found
  return new TaskLoadError(
    `Cannot load task '${module}': expected a function or a task as ${expected}, got ${got}. ${adviseOnNames(module, names)}`,
  )
}

/** The task at place `ordinal` of a module that defines `count` where it is imported. */
export function explainOrdinal(url: string, ordinal: number, count: number, names: readonly string[]): TaskLoadError {
  const module = nameModule(url)
  return new TaskLoadError(
    `Cannot load task '${module}': expected at least ${plural(ordinal + 1, 'task')} that it defines as it is imported, got ${count}. ` +
      'In the program it defined more: later, or as it was evaluated again, which test runners and development servers do to reload it. ' +
      adviseOnNames(module, names),
  )
}

function adviseOnNames(module: string, names: readonly string[]): string {
  const [first] = names
  if (first === undefined) return "It exports no function: write 'export default' before the one to run"
  const listed = names.map((it) => `'${it}'`).join(', ')
  const example = first === 'default' ? module : `${module}#${first}`
  return `It exports ${listed}: name ${names.length > 1 ? 'one of them' : 'it'}, as ${example} on the command line, or { module, export } in a program`
}

/** For an error of a thread, or of this one, that comes of the working directory having been deleted; undefined of any other. */
export function explainNoDirectory(error: unknown): TaskLoadError | undefined {
  const message = messageOf(error)
  if (!message.includes('uv_cwd')) return undefined
  return new TaskLoadError(
    `Cannot start a worker: expected a working directory, got one that was deleted (${message}). ` +
      'Node starts no thread there: go to another with process.chdir(), or start the program in one that stays',
    { cause: error },
  )
}

/** What a module is called in messages: its path, relative when it lies within the working directory. */
function nameModule(url: string): string {
  return url.startsWith('file:') ? namePath(fileURLToPath(url)) : url
}

function namePath(path: string): string {
  const short = relative(process.cwd(), path)
  return short === '' || short === '..' || short.startsWith(`..${sep}`) ? path : short.split(sep).join('/')
}

const UNKNOWN_EXTENSION = 'ERR_UNKNOWN_FILE_EXTENSION'

/**
 * The extension that Node's `import` has no way to run, of the module or of one that it imports; undefined of any other error.
 */
export function unknownExtension(error: unknown): string | undefined {
  const { code, message = '' } = (error ?? {}) as NodeJS.ErrnoException
  return code === UNKNOWN_EXTENSION ? /^Unknown file extension "(\.\w+)"/.exec(message)?.[1] : undefined
}

const moduleExtension = (where = '') => (isTypeScript(where) ? '.mts' : '.mjs')

const isTypeScript = (text: string) => /\.[cm]?ts\b/.test(text)

const isNotFound = (code: string | undefined) => code === 'ERR_MODULE_NOT_FOUND' || code === 'MODULE_NOT_FOUND'

/** Only of CommonJS does Node say where a syntax error is. */
function isTakenForCommonJs({ isSyntax, message, where }: Fault): boolean {
  return isSyntax && where !== undefined && /import statement|token 'export'|import\.meta|await is only valid/.test(message)
}

function describe(url: string, error: unknown): Fault {
  const { code, stack = '' } = (error ?? {}) as NodeJS.ErrnoException
  const whole = messageOf(nameError(error))
  const isNodes = error instanceof SyntaxError || /^(ERR_|MODULE_)/.test(code ?? '') || / in ES module scope/.test(whole)
  const message = isNodes ? (whole.split('\n')[0] as string).replace(/\.$/, '') : whole
  const place = findPlace(stack, whole)
  return {
    code,
    message,
    isSyntax: error instanceof SyntaxError && !place?.isThrown,
    where: place?.name,
    file: url.startsWith('file:') ? nameModule(url) : undefined,
  }
}

/**
 * Where Node found the fault, or, `isThrown`, the first place in `stack` that is neither Node's own nor of a package: code that
 * ran there threw the error.
 */
function findPlace(stack: string, message: string): { name: string; isThrown: boolean } | undefined {
  const above = /^((?:file:\/\/)?\/[^\n]+):(\d+)\n/.exec(stack)
  const requiring = /^- (\/.+)$/m.exec(message)
  const frame = /^ {4}at (?:.* \()?((?:file:\/\/)?\/(?!.*\/node_modules\/)[^\n]+?):(\d+):\d+\)?$/m.exec(stack)
  const [, file, line] = above ?? requiring ?? frame ?? []
  if (file === undefined) return undefined
  const name = file.startsWith('/') ? namePath(file) : nameModule(file)
  return { name: line === undefined ? name : `${name}:${line}`, isThrown: above === null && requiring === null }
}
