import { EventEmitter } from 'node:events'
import type { Piscina } from 'piscina'
import { packError } from '../../src/carried-error.ts'
import {
  beginPacking,
  claim,
  endPacking,
  enter,
  isWanted,
  leave,
  letGo,
  sharedNow,
  slotOf,
  takeNote,
  takeUp,
} from '../../src/engine/flight-recorder.ts'
import type { ChunkMessage, PartMessage, RejectedPlace, RunSetup } from '../../src/engine/protocol.ts'
import { jsonCodec } from '../../src/values/json.ts'
import { msgpackCodec } from '../../src/values/msgpack.ts'
import type { SimulatedPort } from './channel.ts'
import type { Process, World } from './world.ts'

/** How a start of an item goes. `time` in ms; a hang has none. */
export type Deed =
  | { readonly kind: 'value'; readonly time: number; readonly value: unknown; readonly trap?: Trap }
  | { readonly kind: 'error'; readonly time: number; readonly error: Error }
  /** Takes its worker, or the whole process, along. */
  | { readonly kind: 'crash'; readonly time: number; readonly error: Error | undefined }
  | { readonly kind: 'abort'; readonly time: number }
  | { readonly kind: 'hang' }

/** What a value does to its worker when it is packed; or the main thread cannot read what it was packed into, or not believe it. */
type Trap = 'hang' | 'crash' | 'unreadable' | 'untrue'

/** Decides what items do, and is told of it. */
export interface Stage {
  /** The item begins for the `attempt`th time, as its task is told. */
  start(item: unknown, attempt: number): Deed
  /** The item ended so in its worker, whether or not anybody will hear of it. */
  end(item: unknown, deed: Deed): void
}

/** Time after which a chunk answers in parts, in ms. */
const PART_MS = 50

/** Share of the threads in which the task takes its time to come up, seconds. */
const LATE = 0.03

/** Share of the threads that the system has no room for. */
const REFUSED = 0.03

/** What a simulated thread lives in. */
interface ThreadLife {
  readonly world: World
  readonly process: Process
  readonly stage: Stage
}

/** Piscina as the pool uses it, with threads that run `stage` on virtual time. */
export function simulatedPiscina(world: World, process: Process, stage: Stage): typeof Piscina {
  let threads = 0
  return class extends SimulatedThread {
    constructor() {
      super({ world, process, stage }, ++threads)
    }
  } as unknown as typeof Piscina
}

/** A pool of one thread. */
class SimulatedThread extends EventEmitter {
  readonly options = { minThreads: 1 }
  readonly threads: (EventEmitter & { readonly threadId: number })[]
  readonly #life: ThreadLife
  readonly #queue: ChunkMessage[] = []
  readonly #setups = new Map<number, RunSetup>()
  #cells: Int32Array = new Int32Array()
  #port: SimulatedPort | undefined
  #isUp = false
  #isBusy = false
  #isEnded = false
  #isGone = false
  #onGone: (() => void)[] = []

  constructor(life: ThreadLife, threadId: number) {
    super()
    const { chance } = life.world
    if (chance.is(REFUSED)) throw Object.assign(new Error('EAGAIN'), { code: 'ERR_WORKER_INIT_FAILED' })
    this.#life = life
    this.threads = [Object.assign(new EventEmitter(), { threadId, stdout: {}, stderr: {} })]
    this.#after(chance.is(LATE) ? chance.int(1000, 15_000) : chance.wait(20), () => {
      this.#isUp = true
      this.#next()
    })
  }

  async run({ port, cells }: { port: SimulatedPort; cells: Int32Array }): Promise<void> {
    this.#port = port
    this.#cells = cells
    port.on('message', (message: ChunkMessage) => {
      this.#queue.push(message)
      this.#next()
    })
  }

  /** Ends the thread: it does nothing more, and says so at some time, whether or not all it had posted was delivered. */
  destroy(code = 1, error?: Error): Promise<void> {
    const gone = this.#isGone ? Promise.resolve() : new Promise<void>((resolve) => this.#onGone.push(resolve))
    if (!this.#isEnded) {
      this.#isEnded = true
      this.#later(() => {
        this.#isGone = true
        if (error) this.threads[0]?.emit('error', error)
        this.threads[0]?.emit('exit', code)
        for (const tell of this.#onGone) tell()
      })
    }
    return gone
  }

  /** A value is missing already. Of JSON that nobody reads the worker has to tell. */
  #falsify(part: PartMessage, isCounted: boolean): PartMessage {
    return this.#life.world.chance.pick([
      ...(isCounted ? [part] : []),
      { ...part, to: part.to + 100 },
      { ...part, from: part.from + 1 },
      { ...part, spoiled: 'word that it is spoiled' },
    ])
  }

  #after(delay: number, action: () => void): void {
    this.#life.world.in(delay, this.#life.process, () => {
      if (!this.#isEnded) action()
    })
  }

  /** When the main thread hears of it. */
  #later(action: () => void): void {
    this.#life.world.in(this.#life.world.chance.wait(0.3), this.#life.process, action)
  }

  #next(): void {
    if (!this.#isUp || this.#isBusy || this.#isEnded) return
    const message = this.#queue.shift()
    if (!message) return
    this.#isBusy = true
    takeUp(slotOf(this.#cells, message.slot))
    for (const ended of message.ended ?? []) this.#setups.delete(ended)
    if (message.setup) this.#setups.set(message.run, message.setup)
    this.#after(this.#life.world.chance.wait(0.05), () => this.#runChunk(message, this.#setups.get(message.run) as RunSetup))
  }

  #runChunk(message: ChunkMessage, setup: RunSetup): void {
    const slot = slotOf(this.#cells, message.slot)
    const { items, attempts } = message
    const codec = setup.record && { msgpack: msgpackCodec, json: jsonCodec }[setup.record]
    let values: unknown[] = []
    let rejected: RejectedPlace[] = []
    let traps: { place: number; trap: Trap }[] = []
    let from = 0
    let claimed = 0
    let began = this.#life.world.time
    const now = () => (setup.timed ? sharedNow() : undefined)
    const post = (to: number, end: boolean, goOn: () => void) => {
      beginPacking(slot, now())
      const trapped = traps.find(({ trap }) => trap === 'hang' || trap === 'crash')
      const isReadable = !traps.some(({ trap }) => trap === 'unreadable')
      const liar = traps.find(({ trap }) => trap === 'untrue')
      traps = []
      if (trapped?.trap === 'hang') return
      this.#after(this.#life.world.chance.wait(0.1), () => {
        if (trapped) {
          this.#life.stage.end(items[trapped.place], { kind: 'crash', time: 0, error: undefined })
          return void this.destroy(7)
        }
        if (liar) this.#life.stage.end(items[liar.place], { kind: 'crash', time: 0, error: undefined })
        send(to, end, isReadable, liar !== undefined)
        endPacking(slot)
        goOn()
      })
    }
    const send = (to: number, end: boolean, isReadable: boolean, isLie: boolean) => {
      if (isLie) values.pop()
      const taskTime = this.#life.world.time - began
      const record = codec && values.length > 0 ? codec.encode(values).bytes : undefined
      const part: PartMessage = {
        ...{ id: message.id, from, to, end, taskTime },
        ...(codec ? {} : { values }),
        ...(record ? { record } : {}),
        ...(rejected.length > 0 ? { rejected } : {}),
      }
      from = to
      values = []
      rejected = []
      began = this.#life.world.time
      const near = this.#port?.far
      near?.wait(isLie ? this.#falsify(part, setup.record !== 'json') : part, isReadable)
      this.#later(() => near?.deliver())
    }
    const step = (place: number) => {
      const isHurried = isWanted(slot)
      const isLong = message.isSingly || isHurried || this.#life.world.time - began > PART_MS || this.#life.world.chance.is(0.05)
      if (isHurried) {
        takeNote(slot)
        letGo(slot, place)
        claimed = place
      }
      if (place > from && place < items.length && isLong) post(place, false, () => begin(place))
      else begin(place)
    }
    const begin = (place: number) => {
      const isClaimed = place < claimed
      if (!isClaimed && place < items.length) {
        const stride = this.#life.world.chance.is(0.5) ? 1 : 4
        claimed = claim(slot, Math.min(place + stride, items.length))
      }
      // A limit that was set since the claim may not have reached the thread yet.
      const isUnseen = isClaimed && this.#life.world.chance.is(0.5)
      const isAllowed = place < claimed && place < items.length && (enter(slot, place, now()) || isUnseen)
      if (!isAllowed) {
        leave(slot, items.length, place)
        post(place, true, () => {
          this.#isBusy = false
          this.#next()
        })
        return
      }
      const deed = this.#life.stage.start(items[place], (attempts?.[place] ?? 0) + 1)
      if (deed.kind === 'hang') return
      this.#after(deed.time, () => {
        this.#life.stage.end(items[place], deed)
        if (deed.kind === 'abort') return this.#life.world.kill(this.#life.process)
        if (deed.kind === 'crash') return void this.destroy(deed.error ? 1 : 7, deed.error)
        if (deed.kind === 'value') {
          values.push(deed.value)
          if (deed.trap) traps.push({ place, trap: deed.trap })
        } else rejected.push({ place, kind: 'error', error: packError(deed.error) })
        step(place + 1)
      })
    }
    step(0)
  }
}
