import { expect, test } from 'vitest'
import { nearest } from '../src/nearest.ts'

test('nearest() gives the names that begin alike or are misspelt, the best first', () => {
  const names = ['census-0123456789', 'census', 'sensus', 'other', 'censor', 'census-ab']
  expect(nearest('cencus', names)).toEqual(['census', 'sensus'])
  expect(nearest('census-', ['census-0123456789'])).toEqual(['census-0123456789'])
  expect(nearest('completely-different', names)).toEqual([])
})
