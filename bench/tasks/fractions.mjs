// @ts-check

/** A generator of numbers whose steps leave the integers: the arithmetic is that of fractions. @param {number} item */
export default function fractions(item) {
  let state = item
  for (let i = 0; i < 8000; i++) state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
  return state
}
