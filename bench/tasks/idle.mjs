// @ts-check
/**
 * Blocks its thread for as many milliseconds as the item says, so that every worker of a pool gets one and has nothing else.
 *
 * @param {number} item
 */
export default function idle(item) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, item)
  return item
}
