import { expect, test } from 'vitest'
import { createLearner } from '../../src/plan/knowledge.ts'

test('a task of which an item took its worker down stays known, however many others did after it', () => {
  createLearner('first').beware()
  for (let other = 0; other < 5000; other++) createLearner(`other ${other}`).beware()
  expect(createLearner('first').isDangerous).toBe(true)
  expect(createLearner('other 4999').isDangerous).toBe(true)
})

test('code that runs for the first time in a process counts only as long as nothing newer is known', () => {
  const cold = createLearner('cold')
  cold.learnTime(1, 4)
  expect(cold.known.itemTime).toBe(4)
  cold.learnTime(2, 2)
  expect(cold.known.itemTime).toBe(1)
  cold.learnTime(1, 0.5)
  expect(cold.known.itemTime).toBeGreaterThan(0.5)
})

test('what earlier runs learned is not forgotten for one quick item', () => {
  const first = createLearner('slow')
  first.learnTime(1, 200)
  first.remember()
  const next = createLearner('slow')
  next.learnTime(1, 0.01)
  expect(next.known.itemTime).toBeGreaterThan(50)
})
