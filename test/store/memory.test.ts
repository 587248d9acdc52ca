import { memoryStore } from '../../src/store/memory.ts'
import { storeSuite } from './suite.ts'

storeSuite('memoryStore()', async () => {
  const store = memoryStore()
  return { open: () => store }
})

storeSuite('a store without append()', async () => {
  const { append: _, ...store } = memoryStore()
  return { open: () => store }
})
