/** As they were when this was loaded: a task may put others in their place. */
const { Int32Array } = globalThis
const { imul } = Math

/** Calls before the first number: by then sfc32 has mixed its state. */
const WARM_UP = 12

/**
 * Numbers in [0, 1) of 53 bits that depend on `seed` alone: two of sfc32 make one, as those of MT19937 do in `genrand_res53`. All
 * 128 bits of its state come from the text, so two texts have one sequence as seldom as two hashes of 128 bits are the same.
 *
 * @see https://pracrand.sourceforge.net, `sfc` by Chris Doty-Humphrey
 */
export function createRandom(seed: string): () => number {
  const state = mixSeed(1 + Math.ceil(seed.length / 2), (at) => (at === 0 ? seed.length : unitsAt(seed, 2 * at - 2)))
  for (let i = 0; i < WARM_UP; i++) next(state)
  return () => ((next(state) >>> 5) * 2 ** 26 + (next(state) >>> 6)) / 2 ** 53
}

/** Four words, and one that only `mixSeed` uses. A closure over variables would take a new object for each large number in them. */
type State = Int32Array & { [word in 0 | 1 | 2 | 3 | 4]: number }

function next(state: State): number {
  const sum = (((state[0] + state[1]) | 0) + state[3]) | 0
  state[3]++
  state[0] = state[1] ^ (state[1] >>> 9)
  state[1] = state[2] + (state[2] << 3)
  state[2] = ((state[2] << 21) | (state[2] >>> 11)) + sum
  return sum
}

/** Two UTF-16 units of a text in one word; behind its end they are 0. */
function unitsAt(text: string, at: number): number {
  const second = at + 1 < text.length ? text.charCodeAt(at + 1) : 0
  return text.charCodeAt(at) | (second << 16)
}

/** Constants of `mixSeed`, as published. */
const [INIT_A, MULT_A, INIT_B, MULT_B] = [0x43b0d7e5, 0x931e8875, 0x8b51f9dd, 0x58f38ded]
const [MIX_LEFT, MIX_RIGHT] = [0xca01f9dd, 0x4973f715]

/**
 * Four words in which all of `count` words are mixed, each with all others: `seed_seq_fe128` by Melissa O'Neill, which is NumPy's
 * `SeedSequence`.
 *
 * @see https://www.pcg-random.org/posts/developing-a-seed_seq-alternative.html
 */
export function mixSeed(count: number, wordAt: (at: number) => number): State {
  const state = new Int32Array(5) as State
  state[CONSTANT] = INIT_A
  for (let at = 0; at < 4; at++) state[at] = hash(state, at < count ? wordAt(at) : 0, MULT_A)
  for (let at = 0; at < 4; at++) add(state, state[at] as number, at)
  for (let at = 4; at < count; at++) add(state, wordAt(at), undefined)
  state[CONSTANT] = INIT_B
  for (let at = 0; at < 4; at++) state[at] = hash(state, state[at] as number, MULT_B)
  return state
}

/** Where the constant is that `hash` changes each time. */
const CONSTANT = 4

function add(state: State, word: number, except: number | undefined): void {
  for (let at = 0; at < 4; at++) if (at !== except) state[at] = mix(state[at] as number, hash(state, word, MULT_A))
}

function hash(state: State, word: number, factor: number): number {
  const before = word ^ state[CONSTANT]
  state[CONSTANT] = imul(state[CONSTANT], factor)
  const hashed = imul(before, state[CONSTANT])
  return hashed ^ (hashed >>> 16)
}

function mix(left: number, right: number): number {
  const mixed = (imul(MIX_LEFT, left) - imul(MIX_RIGHT, right)) | 0
  return mixed ^ (mixed >>> 16)
}
