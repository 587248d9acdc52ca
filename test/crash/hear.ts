/** What is known of a session in another process by what it printed. */
export interface Heard {
  /** Items answered from the checkpoint; undefined when it was killed before it said so. */
  restored: number | undefined
  /** The largest count that `afterCheckpoint` announced. */
  announced: number
  /** Items of this session that `afterCheckpoint` announced, as far as they can be told apart from those of the next flush. */
  readonly durable: Set<number>
  readonly warnings: { readonly code: string; readonly message: string }[]
}

export const newHeard = (): Heard => ({ restored: undefined, announced: 0, durable: new Set(), warnings: [] })

/** Takes note of a line, which is a word and JSON, and gives both back; no word when the line was cut off by a kill. */
export function hear(heard: Heard, line: string): { word: string; value: never } {
  const space = line.indexOf(' ')
  const word = line.slice(0, space)
  const value = tryParse(line.slice(space + 1))
  if (value === undefined) return { word: '', value: value as never }
  if (word === 'restored') heard.restored = value
  if (word === 'warning') heard.warnings.push(value)
  if (word === 'durable') {
    heard.announced = Math.max(heard.announced, value.recorded)
    for (const index of value.indices) heard.durable.add(index)
  }
  return { word, value: value as never }
}

function tryParse(text: string) {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
