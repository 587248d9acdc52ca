import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { promisify } from 'node:util'
import type { ErrorCode } from 'pawl'
import { describe, expect, test } from 'vitest'
import { generate } from '../../scripts/docs.mjs'
import { EVENTS, listOptions } from '../../src/options/option-table.ts'

/** README.md says all there is, nothing that is not, and its programs run. */

const root = join(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')
const readme = read('README.md')
const packed = (JSON.parse(read('package.json')) as { files: string[] }).files
/** Those that are in the package. */
const documents = packed
  .filter((name) => !name.startsWith('!'))
  .flatMap((name) => {
    if (!statSync(join(root, name)).isDirectory()) return [name]
    return readdirSync(join(root, name), { recursive: true, encoding: 'utf8' }).map((file) => `${name}/${file}`)
  })
  .filter((file) => file.endsWith('.md'))

/** What of `names` is nowhere in the README as code. */
const missing = (names: readonly string[]) => names.filter((name) => !new RegExp(`\`[^\`\n]*${escape(name)}\\b`).test(readme))
const escape = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

test('the generated parts are those of the sources: `npm run docs` makes them', async () => {
  expect(readme).toBe(await generate(readme))
})

describe('README.md documents', () => {
  test('every option', () => {
    expect(missing(listOptions().map(({ name }) => name))).toEqual([])
  })

  test('every public name', () => {
    const names = [...read('dist/index.d.ts').matchAll(/\{([^}]*)\}/g)]
      .flatMap(([, list]) => (list as string).split(','))
      .map((name) => name.replace('type ', '').trim())
    expect(names.length).toBeGreaterThan(50)
    expect(missing(names.filter((name) => name !== ''))).toEqual([])
  })

  test('every error code', () => {
    const codes: Record<ErrorCode, true> = {
      ERR_PAWL_RUN_FAILED: true,
      ERR_PAWL_ABORTED: true,
      ERR_PAWL_TIMEOUT: true,
      ERR_PAWL_WORKER_CRASH: true,
      ERR_PAWL_SERIALIZATION: true,
      ERR_PAWL_TASK_LOAD: true,
      ERR_PAWL_NON_RETRYABLE: true,
      ERR_PAWL_CIRCUIT_OPEN: true,
      ERR_PAWL_CHECKPOINT_MISMATCH: true,
      ERR_PAWL_CHECKPOINT_CORRUPT: true,
      ERR_PAWL_CHECKPOINT_WRITE: true,
      ERR_PAWL_CHECKPOINT_VERSION: true,
      ERR_PAWL_STORE_CONFLICT: true,
      ERR_PAWL_RUN_LOCKED: true,
      ERR_PAWL_RUN_NOT_FOUND: true,
      ERR_PAWL_INVALID_OPTION: true,
    }
    expect(missing(Object.keys(codes))).toEqual([])
  })

  test('every event', () => {
    expect(EVENTS.filter((event) => !readme.includes(`\n| \`${event}\` |`))).toEqual([])
  })

  test('every warning', () => {
    const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((it) => it.endsWith('.ts'))
    const codes = files.flatMap((file) =>
      [...read(join('src', file)).matchAll(/emit\(\s*'warning',[^{}]*\{\s*code: '(\w+)'/g)].map(([, code]) => code as string),
    )
    expect(codes.length).toBeGreaterThan(5)
    expect(missing(codes)).toEqual([])
  })

  test('every command and flag', async () => {
    const help = async (...args: string[]) =>
      (await promisify(execFile)(process.execPath, [join(root, 'dist/cli/main.js'), ...args, '--help'])).stdout
    const commands = [...((await help()).split('Commands:')[1] ?? '').matchAll(/^ {2}(\w+)/gm)].map(([, name]) => name as string)
    const known = commands.filter((name) => name !== 'help')
    expect(missing(known.map((name) => `pawl ${name}`))).toEqual([])
    const pages = await Promise.all([...known.map((name) => help(name)), help('bench', 'formats')])
    const flags = new Set(
      pages.flatMap((page) => [...page.matchAll(/^ {2}(?:-\w, )?(--[\w-]+)/gm)].map(([, flag]) => flag as string)),
    )
    flags.delete('--help')
    expect(flags.size).toBeGreaterThan(30)
    expect(missing([...flags])).toEqual([])
  })

  test('every example', () => {
    const examples = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.mjs'))
    expect(examples.filter((name) => !readme.includes(`(examples/${name})`))).toEqual([])
  })
})

test('the published types say of each option what it means, what it may be, and its default', () => {
  const declarations = read('dist/options/options.d.ts')
  const isSaid = ({ name, spec }: ReturnType<typeof listOptions>[number]) => {
    const field = name.slice(name.lastIndexOf('.') + 1)
    const about = `${spec.help.slice(1)}.\n     *\n     * Expected: ${spec.expected}. Default: ${spec.default}.`
    return new RegExp(`${escape(about)}\n     \\*/\n    ${field}\\??:`).test(declarations)
  }
  expect(listOptions().filter((option) => !isSaid(option))).toEqual([])
})

test.each(documents)('%s links to files that are there', (document) => {
  const links = [...read(document).matchAll(/\]\(([^)]+)\)/g)].map(([, link]) => link as string)
  const files = links.filter((link) => !/^(https:|#)/.test(link)).map((link) => link.replace(/#.*/, ''))
  expect(files.filter((link) => !existsSync(join(root, document, '..', link)))).toEqual([])
  const anchors = links.filter((link) => link.startsWith('#'))
  const headings = [...read(document).matchAll(/^#+ (.+)$/gm)].map(
    ([, it]) => `#${(it as string).toLowerCase().replaceAll(' ', '-')}`,
  )
  expect(anchors.filter((anchor) => !headings.includes(anchor))).toEqual([])
})

test('what is in the package links to no file that is not', () => {
  const isOf = (names: readonly string[], file: string) => names.some((it) => file === it || file.startsWith(`${it}/`))
  const left = packed.flatMap((it) => (it.startsWith('!') ? [it.slice(1)] : []))
  const links = documents.flatMap((document) =>
    [...read(document).matchAll(/\]\((?!https:|#)([^)#]+)[^)]*\)/g)].map(([, link]) =>
      posix.join(document, '..', link as string),
    ),
  )
  expect(documents).toEqual(expect.arrayContaining(['README.md', 'docs/reliability.md', 'examples/schedulers/README.md']))
  expect(links.length).toBeGreaterThan(20)
  expect(links.filter((file) => !isOf(packed, file) || isOf(left, file))).toEqual([])
})

test.each(['docs/architecture.md', 'docs/reliability.md', 'CONTRIBUTING.md'])('%s names files that are there', (document) => {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
  const named = [...read(document).matchAll(/`([\w/.-]+(?:\.ts|\/))`/g)].map(([, name]) => name as string)
  expect(named.length).toBeGreaterThan(5)
  const isThere = (name: string) =>
    existsSync(join(root, name)) || files.some((file) => `/${file}`.endsWith(`/${name.replace(/\/$/, '')}`))
  expect(named.filter((name) => !isThere(name))).toEqual([])
})

test('the programs of README.md run and print what it says', async () => {
  // Under npm or npx their settings are in the environment, and the npx of a program would take them for its own.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('npm_')))
  const blocks = [...readme.matchAll(/^```(\w+) (run|output|file=(\S+))\n([^]*?)^```$/gm)]
  const folder = await mkdtemp(join(tmpdir(), 'pawl-readme-'))
  try {
    await mkdir(join(folder, 'node_modules/.bin'), { recursive: true })
    await symlink(root, join(folder, 'node_modules/pawl'))
    await writeFile(join(folder, 'node_modules/.bin/pawl'), `#!/bin/sh\nexec node ${root}/dist/cli/main.js "$@"\n`, {
      mode: 0o755,
    })
    await writeFile(join(folder, 'package.json'), '{}')
    let printed = ''
    let compared = 0
    for (const [, , role, file, text] of blocks as unknown as string[][]) {
      if (file) await writeFile(join(folder, file), text as string)
      else if (role === 'run')
        printed = execFileSync('sh', ['-e', '-c', text as string], { cwd: folder, env, encoding: 'utf8', stdio: 'pipe' })
      else expect(printed, `output block ${++compared}`).toBe(text)
    }
    expect(compared).toBeGreaterThan(2)
  } finally {
    await rm(folder, { recursive: true })
  }
})
