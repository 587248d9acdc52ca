/**
 * Messages that say in a program what to do there, and on a command line what to do there: what happened is told apart from the
 * ways on.
 */

/** What a command line has other words for. `says`: those for a program, which make its message. */
export type Mention = { readonly says: string } & (
  | { readonly about: 'option'; readonly option: string; readonly value?: string }
  /** The option that a sentence begins with. */
  | { readonly about: 'subject'; readonly option: string }
  | { readonly about: 'item'; readonly index: number }
  /** The beginning of a sentence about two runs that differ in `part`, in front of how to keep both. */
  | { readonly about: 'both runs'; readonly part: string }
  /** Behind "To go on with it, ". `isCommand`: a command began the run; `isSame`: nothing but the name differs. */
  | { readonly about: 'that run'; readonly runId: string; readonly isCommand: boolean; readonly isSame: boolean }
  | { readonly about: 'contents' | 'another run' | 'discard' | 'place' | 'report' | 'runs' | 'memory' | 'results' }
  | { readonly about: 'inline' | 'source' }
)

/** A message, or a part of one. */
export type Words = string | Wording

/** A text with mentions in it. As a string it is what a program is told. */
export class Wording {
  readonly #parts: readonly (string | Mention)[]

  constructor(parts: readonly (Words | Mention)[]) {
    this.#parts = parts.flatMap((part) => (part instanceof Wording ? part.#parts : [part]))
  }

  /** The text, with what `nameOf` calls what is mentioned. */
  say(nameOf: (mention: Mention) => string): string {
    return this.#parts.map((part) => (typeof part === 'string' ? part : nameOf(part))).join('')
  }

  toString(): string {
    return this.say(({ says }) => says)
  }
}

/** Tag of a template whose values may be mentions, or have some: ``wording`Raise ${option('timeout')}` ``. */
export function wording(texts: TemplateStringsArray, ...values: readonly (Words | number | Mention)[]): Wording {
  const partOf = (value: Words | number | Mention | undefined) => (typeof value === 'number' ? String(value) : (value ?? ''))
  return new Wording(texts.flatMap((text, at) => [text, partOf(values[at])]))
}

/** Names an option. `value`: what it has, where a command line is to show that, too. */
export function option(name: string, says = `'${name}'`, value?: string): Mention {
  return { about: 'option', option: name, says, ...(value === undefined ? {} : { value }) }
}

/** The end of a message of an error that carries a report. */
export function inReport(more = ''): Mention {
  return { about: 'report', says: `. All that finished is in the error's report${more}` }
}

const WORDS = Symbol('words')

/**
 * Has `carrier`, whose message is `words` as a string, or which is a list of such, keep them. Neither enumerable nor a string: no
 * thread and no checkpoint carries them, and nobody sees them who shows or compares the carrier.
 */
export function keepWords<C extends object>(carrier: C, words: Words | readonly Words[]): C {
  return Object.defineProperty(carrier, WORDS, { value: words, configurable: true })
}

/** What `make` makes of the message, an error or the payload of a warning, keeping its words. */
export function worded<C extends { readonly message: string }>(words: Words, make: (message: string) => C): C {
  return keepWords(make(String(words)), words)
}

/** The payload of a warning that keeps its words. */
export function wordedWarning(code: string, words: Words): { readonly code: string; readonly message: string } {
  return worded(words, (message) => ({ code, message }))
}

/** The words that `carrier` keeps, or else its message. */
export function wordsIn(carrier: { readonly message: string }): Words {
  return (carrier as { readonly [WORDS]?: Words })[WORDS] ?? carrier.message
}

/** A list of messages that keeps their words. */
export function wordedList(list: readonly Words[]): string[] {
  return keepWords(list.map(String), list)
}

/** The words that such a list keeps, or else its messages. */
export function wordsInList(messages: readonly string[]): readonly Words[] {
  return (messages as { readonly [WORDS]?: readonly Words[] })[WORDS] ?? messages
}

/**
 * `text` as a POSIX shell takes it for one word: as it is, or in quotes. Double ones where they will do, since a command
 * within a sentence stands in single ones.
 */
export function inShell(text: string): string {
  if (/^[\p{L}\p{N}_.,:/@%+=-][\p{L}\p{N}_.,:/@%+=#-]*$/u.test(text)) return text
  return /[$`"\\!]/.test(text) ? `'${text.replaceAll("'", "'\\''")}'` : `"${text}"`
}
