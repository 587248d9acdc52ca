/**
 * Where runs keep their bytes: a flat map from keys to objects.
 *
 * Contract. What a test can tell of it, test/store/suite.ts tells of every store:
 *
 * 1. `put` is atomic: a reader, or a process started after a crash, sees the whole object or none of it.
 * 2. `put` is durable unless `durable: false`: once it resolves, the object survives a power cut.
 * 3. `put` creates: when the key is taken it rejects with `StoreConflictError` and changes nothing, unless
 *    `replace: true`, which puts the new object in the old one's place atomically.
 * 4. `get` gives undefined for a key that is not there. A `range` is cut off at the end of the object; one that
 *    begins past the end gives no bytes.
 * 5. `list` gives, in code-unit order, every key that starts with `prefix` and whose `put` or `append` had resolved
 *    before the call, with its size in bytes.
 * 6. `append` creates an object that grows; a taken key is a `StoreConflictError`. What `sync` has resolved for
 *    survives a power cut, and so does then the name of the object. Readers may see any prefix of what was written.
 * 7. `sync` makes durable what there is of an object, whoever wrote it. Of a key that is not there it does nothing.
 * 8. `delete` of a key that is not there does nothing.
 * 9. A key that does not match KEY is refused with `InvalidOptionError` before anything is touched, so no key can
 *    leave the place the store was given.
 *
 * A store holds no state but its connection: two stores on one place are interchangeable. No object is larger than
 * MAX_OBJECT_BYTES.
 */
export interface Store {
  get(key: string, range?: ByteRange): Promise<Uint8Array | undefined>
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<void>
  /** Stores that cannot grow an object leave this out; segments are then put whole, one per flush. */
  append?(key: string): Promise<Log>
  /** Stores in which readers see nothing but what is durable leave this out. */
  sync?(key: string): Promise<void>
  /**
   * When the object was last written, in milliseconds since 1970; undefined when it is not there. Stores that cannot tell leave
   * this out.
   */
  modifiedAt?(key: string): Promise<number | undefined>
  list(prefix: string): Promise<readonly StoredObject[]>
  delete(key: string): Promise<void>
}

/** From `start`, `length` bytes. Both are integers >= 0. */
export interface ByteRange {
  readonly start: number
  readonly length: number
}

/** How an object is put. */
export interface PutOptions {
  /** Default true: on disk before the promise resolves. */
  readonly durable?: boolean
  /** Default false: a taken key is an error. */
  readonly replace?: boolean
}

/** An object as `list` tells of it. */
export interface StoredObject {
  readonly key: string
  /** In bytes. */
  readonly size: number
}

/**
 * An object that grows. One writer, one call at a time. After a call has rejected, only `close` may follow: what was
 * not synced by then may or may not be there, and belongs into a new object.
 */
export interface Log {
  /** Writes all of `bytes` at the end. A short write is a rejection. */
  write(bytes: Uint8Array): Promise<void>
  /**
   * Makes durable whatever was written. Rejects with ENOENT when the object is gone from where readers look for it, another is
   * there, or it was cut.
   */
  sync(): Promise<void>
  /**
   * Rejects with ENOENT when the object is gone from there or was cut; makes nothing durable. Stores that cannot tell leave this
   * out.
   */
  confirm?(): Promise<void>
  /** Lets go of the object; does not sync. */
  close(): Promise<void>
}

/** Segments of a key: no empty ones, none that begins with a dot, so that none is `..`; at most 200 characters each. */
export const KEY = /^(?!.{1024})[\w-][\w.-]{0,199}(\/[\w-][\w.-]{0,199})*$/

/** 1 GiB, so that any part of an object fits into one Buffer and object stores take it in one request. */
export const MAX_OBJECT_BYTES = 2 ** 30
