// @ts-check
/**
 * Keeps its thread busy for `context.shared` milliseconds and gives back its item.
 *
 * @param {number} item
 * @param {{ shared: number }} context
 */
export default function spin(item, { shared: duration }) {
  const end = performance.now() + duration
  while (performance.now() < end);
  return item
}

// The planner remembers what it learned of a task by module and export: under a name not used before, a run starts cold.
export { spin as cold0, spin as cold1, spin as cold2, spin as cold3, spin as cold4, spin as cold5, spin as cold6, spin as cold7 }
