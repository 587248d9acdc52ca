import { describe, expect, test } from 'vitest'
import { explain } from '../../src/cli/failure.ts'
import { CheckpointWriteError, CircuitOpenError, RunFailedError } from '../../src/errors.ts'

describe('explain()', () => {
  const denied = Object.assign(new Error('denied'), { code: 'ERR_ACCESS_DENIED', permission: 'FileSystemRead' })

  test.each([
    ['a checkpoint that may not be read', new CheckpointWriteError('x', { cause: denied }), 2],
    ['a checkpoint that failed otherwise', new CheckpointWriteError('x', { cause: new Error('EIO') }), 75],
    ['a run in which an item was denied a file', new RunFailedError('x', { cause: denied }), 1],
    ['a circuit that items opened which were denied one', new CircuitOpenError('x', { cause: denied }), 75],
  ])('has the exit code of %s', (_, error, exitCode) => {
    expect(explain(error)).toMatchObject({ exitCode, isBug: false })
  })
})
