import { test } from 'vitest'
import { tellTwice } from './tell.ts'

test('a seed gives the same history again', () => tellTwice(60), 600_000)
