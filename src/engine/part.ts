import { packError } from '../carried-error.ts'
import { nameItem } from '../errors.ts'
import { tellsCarrying } from '../items/chunk.ts'
import { countMoves, findMoved, MIN_GIVEN } from '../move.ts'
import { encodeTogether } from '../values/codec.ts'
import { cloneApart, copyApart, ODD } from './apart.ts'
import { Column } from './column.ts'
import { findDropped } from './dropped.ts'
import { threadNow } from './flight-recorder.ts'
import type { ItemColumns, LoadedRun, Port } from './loaded-run.ts'
import type { PartMessage, RejectedPlace } from './protocol.ts'
import { cloneEach, droppedError } from './uncarried.ts'

/** As it was when this was loaded: a task may put another in its place. */
const { Set } = globalThis

/**
 * Results that take longer to copy, in ms, are posted by themselves: several times what a message takes
 * (bench/chunk-size.bench.mjs).
 */
const MAX_CLONE_MS = 0.2

/** Outcomes of one chunk that were not posted yet. */
export class Part {
  readonly #chunk: ItemColumns
  readonly #run: LoadedRun
  readonly #port: Port
  #from = 0
  #kept: Column
  #rejected: RejectedPlace[] = []
  /** Of the values, once somebody asked while the part is sent: many may be refused. */
  #places: number[] | undefined
  #moves = countMoves()
  #began = threadNow()
  /** The last value that was kept may still be changed by the task. */
  isLoose = false

  constructor(chunk: ItemColumns, run: LoadedRun, port: Port) {
    this.#chunk = chunk
    this.#run = run
    this.#port = port
    this.#kept = new Column(chunk.items.length)
  }

  /** Nothing of the chunk ran since the last part was posted: what time that took is not the task's. */
  begin(): void {
    this.#began = threadNow()
  }

  /** Milliseconds since the last part was posted, or its successor begun. */
  elapsed(): number {
    return threadNow() - this.#began
  }

  /**
   * A task may go on with what it returned, so that is kept apart from it. What would not be there any more in a copy is refused.
   */
  keep(value: unknown, place: number): void {
    if (typeof value !== 'object' || value === null) return this.#kept.push(value)
    const copy = copyApart(value)
    const dropped = copy === ODD ? findDropped(value) : undefined
    if (dropped) return this.reject(place, 'serialization', droppedError(this.#nameOf(place), dropped))
    this.isLoose = copy === ODD
    this.#kept.push(this.isLoose ? value : copy)
  }

  /**
   * To be called before anything else runs when the last value `isLoose`: makes a copy of it, which is not made when the part is
   * posted first. False when that is to be done, since a copy would take longer; never where it cannot be, `isHeld`.
   */
  secure(isHeld = false): boolean {
    const { cloneTime = 0 } = this.#run
    if (cloneTime > MAX_CLONE_MS && !isHeld) {
      this.#run.cloneTime = cloneTime / 2 // So that a copy is made, and measured, now and then.
      return false
    }
    const began = threadNow()
    this.#kept.replaceLast(cloneApart)
    this.#run.cloneTime = threadNow() - began
    this.isLoose = false
    return true
  }

  reject(place: number, kind: RejectedPlace['kind'], error: unknown): void {
    this.#rejected.push({ place, kind, error: packError(error) })
  }

  /** The item at `place` was not given to the task. */
  refuse(place: number, error: unknown): void {
    this.#rejected.push({ place, kind: 'serialization', error: packError(error), isUnstarted: true })
  }

  /** Posts the places from the last part's end up to `to`. */
  send(to: number, end: boolean): void {
    const { checkLines } = this.#run
    const values = this.#kept.take()
    this.#sendValues(checkLines ? this.#refuse(values, checkLines(values, this.#nameOfValue)) : values, to, end)
  }

  #sendValues(given: ArrayLike<unknown>, to: number, end: boolean): void {
    const taskTime = this.elapsed()
    const { codec, packTime } = this.#run
    const isPacked = codec !== undefined && given.length > 0
    const encoded = isPacked ? encodeTogether(codec, given, this.#nameOfValue) : undefined
    if (isPacked && !encoded) return this.#sendHalves(given, to, end)
    let values = encoded ? this.#refuse(given, encoded.refused) : given
    const spoiled = this.#port.findSpoiled?.(codec)
    if (spoiled !== undefined) {
      this.#port.post({ id: this.#chunk.id, from: this.#from, to, end, taskTime, spoiled }, [])
      return
    }
    const message = (): PartMessage => ({
      id: this.#chunk.id,
      from: this.#from,
      to,
      end,
      taskTime,
      ...(packTime === undefined ? undefined : { packTime }),
      ...(encoded ? { record: encoded.bytes } : undefined),
      ...(!codec && values.length > 0 ? { values } : undefined),
      ...(this.#rejected.length > 0 ? { rejected: this.#rejected } : undefined),
    })
    const transfer = this.#toTransfer(encoded?.bytes, values)
    const began = threadNow()
    try {
      this.#port.post(message(), transfer)
      const took = threadNow() - began
      if (!codec && values.length > 0 && tellsCarrying(values.length, took, packTime ?? 0))
        this.#run.packTime = took / values.length
    } catch {
      const { copies, refused } = cloneEach(values, this.#nameOfValue)
      values = this.#refuse(copies, refused)
      this.#port.post(message(), [])
    }
    this.#from = to
    this.#places = undefined
    this.isLoose = false
    this.#kept = new Column(this.#chunk.items.length - to)
    this.#rejected = []
    this.#moves = countMoves()
    this.#began = threadNow()
  }

  /** Sends values that have room only in parts. */
  #sendHalves(values: ArrayLike<unknown>, to: number, end: boolean): void {
    const middle = values.length >> 1
    const border = this.#placeOf(middle)
    const rejected = this.#rejected
    this.#rejected = rejected.filter(({ place }) => place < border)
    this.#sendValues(sliceOf(values, 0, middle), border, false)
    this.#rejected = rejected.filter(({ place }) => place >= border)
    this.#sendValues(sliceOf(values, middle, values.length), to, end)
  }

  /**
   * What of `values`, or of the bytes they were packed in, leaves this thread instead of being copied. Values are looked through
   * only if something was moved since the last part.
   */
  #toTransfer(packed: Uint8Array | undefined, values: ArrayLike<unknown>): ArrayBuffer[] {
    if (packed) return packed.byteLength < MIN_GIVEN ? [] : [packed.buffer as ArrayBuffer]
    return this.#moves === countMoves() ? [] : findMoved(values)
  }

  /** The place of value `at`: values are those of the places that were not rejected. */
  #placeOf(at: number): number {
    this.#places ??= this.#listPlaces()
    return this.#places[at] ?? this.#chunk.items.length // Of a thread that is spoiled: its answer does not count.
  }

  #listPlaces(): number[] {
    const isRejected = new Set<number>()
    for (let i = 0; i < this.#rejected.length; i++) isRejected.add((this.#rejected[i] as RejectedPlace).place)
    const places: number[] = []
    for (let place = this.#from; place < this.#chunk.items.length; place++)
      if (!isRejected.has(place)) places[places.length] = place
    return places
  }

  /** Names the item that gave value `at`, for messages. */
  #nameOfValue = (at: number): string => this.#nameOf(this.#placeOf(at))

  #nameOf(place: number): string {
    const { indices, keys } = this.#chunk
    const index = typeof indices === 'number' ? indices + place : (indices[place] as number)
    return `item ${nameItem(index, keys?.[place])}`
  }

  /**
   * Turns values into failures of their items, and gives the others. `at` counts among the values, which are the places that were
   * not rejected.
   */
  #refuse(values: ArrayLike<unknown>, refused: readonly { readonly at: number; readonly error: Error }[]): ArrayLike<unknown> {
    if (refused.length === 0) return values
    const places = refused.map(({ at }) => this.#placeOf(at))
    const isRefused = new Set<number>()
    // By no method of arrays, which may be a task's own: one that visits nothing would make `undefined` of what is refused.
    for (let i = 0; i < refused.length; i++) {
      const { at, error } = refused[i] as { at: number; error: Error }
      this.#rejected.push({ place: places[i] as number, kind: 'serialization', error: packError(error) })
      isRefused.add(at)
    }
    this.#rejected.sort((a, b) => a.place - b.place)
    this.#places = undefined
    return Array.from({ length: values.length }, (_, at) => values[at]).filter((_, at) => !isRefused.has(at))
  }
}

function sliceOf(values: ArrayLike<unknown>, from: number, to: number): unknown[] {
  return Array.from({ length: to - from }, (_, at) => values[from + at])
}
