import { test } from 'vitest'
import { tellHistories } from './tell.ts'

test('what was promised holds in every history (odd seeds)', () => tellHistories(1), 600_000)
