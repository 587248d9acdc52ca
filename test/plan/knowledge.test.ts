import { expect, test } from 'vitest'
import { createLearner } from '../../src/plan/knowledge.ts'

test('a task of which an item took its worker down stays known, however many others did after it', () => {
  createLearner('first').beware()
  for (let other = 0; other < 5000; other++) createLearner(`other ${other}`).beware()
  expect(createLearner('first').isDangerous).toBe(true)
  expect(createLearner('other 4999').isDangerous).toBe(true)
})
