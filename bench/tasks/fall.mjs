// @ts-check
/**
 * Takes its worker down at the item that `context.shared.at` says, the first time; any other takes a millisecond. Counts
 * in `context.shared.starts` how many items began.
 *
 * @param {number} item
 * @param {{ shared: { at: number, starts: Int32Array }, attempt: number }} context
 */
export default function fall(item, { shared, attempt }) {
  Atomics.add(shared.starts, 0, 1)
  if (item === shared.at && attempt === 1) process.exit(1)
  const end = performance.now() + 1
  while (performance.now() < end);
  return item
}
