import { createSha256 } from '../sha256.ts'
import { CanonicalWriter } from './canonical.ts'

/** A running digest of a sequence of values. */
export interface Digest {
  /** Adds values to the end of the sequence. How a sequence is cut into calls makes no difference. */
  update(values: ArrayLike<unknown>): void
  /** 32 hexadecimal digits for all values so far. More may follow. */
  digest(): string
  /**
   * What the first of the values was, or had in it, that structured clone carries though nothing shows what it holds: `Blob`,
   * `KeyObject`. All of a class are alike. Undefined when there was none.
   */
  readonly unseen: string | undefined
}

/**
 * A digest of contents: values that are deepStrictEqual have the same, on every version of Node and however V8 holds
 * them, and so have a value and its structured clone. The order counts, also of properties and of entries. Left out is
 * what structured clone drops (prototypes, non-enumerable and symbol properties, fields of errors), and stacks. All
 * functions are alike, and so are all symbols, all properties that throw when read, and all objects more than 500 deep.
 * Never throws.
 */
export function createDigest(): Digest {
  const hash = createSha256()
  const writer = new CanonicalWriter((bytes) => hash.update(bytes))
  return {
    update: (values) => {
      for (let at = 0; at < values.length; at++) writer.write(values[at])
    },
    digest: () => {
      writer.flush()
      return hash.copy().digest('hex').slice(0, 32)
    },
    get unseen() {
      return writer.unseen
    },
  }
}

/** The digest of `values`, which are all there is. */
export function digestOf(values: ArrayLike<unknown>): string {
  const digest = createDigest()
  digest.update(values)
  return digest.digest()
}
