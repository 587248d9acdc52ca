// @ts-check
import { work } from '../work.mjs'

const rounds = Number(process.env.ROUNDS)

/** Does ROUNDS rounds of work and gives back the `id` of a line. @param {{ id: number | string }} item */
export default function line({ id }) {
  work(rounds)
  return id
}
