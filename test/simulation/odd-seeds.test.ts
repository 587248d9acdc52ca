import { test, vi } from 'vitest'
import { tellHistories } from './tell.ts'

/** The real one counts from the start of the machine, and rounds, so that a history would not be the same elsewhere. */
vi.mock('../../src/engine/flight-recorder.ts', async (original) => ({
  ...(await original<typeof import('../../src/engine/flight-recorder.ts')>()),
  sharedNow: () => Math.trunc(performance.now()),
}))

test('what was promised holds in every history (odd seeds)', () => tellHistories(1), 600_000)
