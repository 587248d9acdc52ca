import { test } from 'vitest'
import { tellHistories } from './tell.ts'

test('what was promised holds in every history (even seeds)', () => tellHistories(2), 600_000)
