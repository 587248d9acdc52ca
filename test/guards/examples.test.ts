import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'

/** Each example is short, says how it is run, and prints what its `// Output:` says. */

const root = join(import.meta.dirname, '../..')
const folder = join(root, 'examples')
const examples = readdirSync(folder).filter((name) => name.endsWith('.mjs'))

/** Node strips types by itself since 22.18. */
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const runsTypeScript = major > 22 || (major === 22 && minor >= 18)
const runnable = examples.filter((name) => runsTypeScript || !importsTypeScript(name))

describe.each(examples)('examples/%s', (name) => {
  const source = readFileSync(join(folder, name), 'utf8')

  test('is under 60 lines and says how to run it', () => {
    expect(source.split('\n').length - 1).toBeLessThan(60)
    expect(source.startsWith('/**\n')).toBe(true)
    expect(source).toContain(` * Run it:  node examples/${name}`)
  })

  test.runIf(runnable.includes(name))('prints what its Output says, and nothing on stderr', async () => {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [join('examples', name)], { cwd: root })
    expect({ stdout, stderr }).toEqual({ stdout: expectedOutput(source), stderr: '' })
  })
})

test.runIf(runsTypeScript)('examples/typescript-task.mjs runs in a project that it was copied to, as it says', async () => {
  const project = mkdtempSync(join(tmpdir(), 'pawl-example-'))
  onTestFinished(() => rmSync(project, { recursive: true, force: true }))
  const source = readFileSync(join(folder, 'typescript-task.mjs'), 'utf8')
  expect(source).toContain('says `"type": "module"`')
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  for (const file of ['typescript-task.mjs', 'tasks/longest-chain.ts']) cpSync(join(folder, file), join(project, file))
  mkdirSync(join(project, 'node_modules'))
  symlinkSync(root, join(project, 'node_modules/pawl'))
  const { stdout, stderr } = await promisify(execFile)(process.execPath, ['typescript-task.mjs'], { cwd: project })
  expect({ stdout, stderr }).toEqual({ stdout: expectedOutput(source), stderr: '' })
})

function importsTypeScript(name: string): boolean {
  return /from '[^']*\.ts'/.test(readFileSync(join(folder, name), 'utf8'))
}

/** The comment lines behind `// Output:`, up to the end of the file. */
function expectedOutput(source: string): string {
  const [, output] = source.split('\n// Output:\n')
  if (!output) throw new Error("Cannot check an example: expected '// Output:' at its end")
  return output.replace(/^\/\/ ?/gm, '')
}
