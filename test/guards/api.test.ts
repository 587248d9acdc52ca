import { join } from 'node:path'
import * as pawl from 'pawl'
import ts from 'typescript'
import { expect, test } from 'vitest'

/** The names that are promised: code written for them must go on to work. */
const FIXED = [
  ...['execute', 'stream', 'plan', 'createExecutor', 'defineTask', 'move', 'fileStore', 'memoryStore'],
  ...['listRuns', 'inspectRun', 'verifyRun', 'readResults', 'deleteRun'],
  ...['RunFailedError', 'RunAbortedError', 'TaskTimeoutError', 'WorkerCrashError', 'SerializationError', 'TaskLoadError'],
  ...['NonRetryableError', 'CircuitOpenError', 'CheckpointMismatchError', 'CheckpointCorruptError', 'CheckpointWriteError'],
  ...['CheckpointVersionError', 'StoreConflictError', 'RunLockedError', 'RunNotFoundError', 'InvalidOptionError'],
]

test('every promised name is exported', () => {
  expect(FIXED.filter((name) => !(name in pawl))).toEqual([])
})

test('the public names and types are those of api.txt', async () => {
  // A change here is a change for users: say so in CHANGELOG.md, then run `npx vitest run test/guards/api.test.ts -u`.
  await expect(describeExports()).toMatchFileSnapshot('./api.txt')
})

/** Every public name with its declarations, without comments, in the order of the names. */
function describeExports(): string {
  const entry = join(import.meta.dirname, '../../dist/index.d.ts')
  const program = ts.createProgram([entry], {
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2023,
    skipLibCheck: true,
  })
  const checker = program.getTypeChecker()
  const source = program.getSourceFile(entry)
  const module = source && checker.getSymbolAtLocation(source)
  if (!module) throw new Error('Cannot read dist/index.d.ts: expected the types of the built package. Run npm run build')
  const printer = ts.createPrinter({ removeComments: true })
  return checker
    .getExportsOfModule(module)
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((name) => {
      const symbol = name.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(name) : name
      const declarations = symbol.declarations ?? []
      return declarations.map((it) => printer.printNode(ts.EmitHint.Unspecified, it, it.getSourceFile()))
    })
    .join('\n\n')
    .concat('\n')
}
