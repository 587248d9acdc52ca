import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * A temporary directory for all tests of this run, removed at its end: with what tests leave that make hundreds of folders, and
 * what processes leave that are killed.
 */
export default function setUp(): () => void {
  const directory = mkdtempSync(join(tmpdir(), 'pawl-tests-'))
  process.env.TMPDIR = directory
  return () => rmSync(directory, { recursive: true, force: true, maxRetries: 3 })
}
