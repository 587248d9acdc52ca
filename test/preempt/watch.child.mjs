/** Watches as the arguments say and prints every notice. `hold`: stay alive until there is one more line to print. */
import { watchPreemption } from '../../build/preempt/preempt.js'

const [option = '{}', hold] = process.argv.slice(2)
watchPreemption(JSON.parse(option), {
  onNotice: ({ message }) => console.log(message),
  onAdvice: () => {},
  emit: () => {},
})
if (hold) setInterval(() => {}, 2 ** 30)
console.log('watching')
