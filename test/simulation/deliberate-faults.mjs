// @ts-check
/** Faults that mutations.mjs puts into a copy of the sources. */

/**
 * Each replaces `search`, which stands once in `file`, by `replace`. It is looked for by the simulation, or by `tests`.
 *
 * @type {{ name: string, file: string, search: string, replace: string, tests?: string[] }[]}
 */
export const FAULTS = [
  {
    name: 'acknowledged before it is synced',
    file: 'src/checkpoint/segments.ts',
    search: "if (isFlush && options.durability === 'fsync') await opened.log.sync()",
    replace: '',
  },
  {
    name: 'a write that failed counts as done',
    file: 'src/checkpoint/segments.ts',
    search: 'await opened.log.write(bytes)',
    replace: 'await opened.log.write(bytes).catch(() => {})',
  },
  {
    name: 'what a killed session wrote is not synced before it counts',
    file: 'src/checkpoint/open.ts',
    search: "if (options.durability === 'fsync') await syncFound(store, index, lease)",
    replace: '',
  },
  {
    name: 'the load lists snapshots first, segments after',
    file: 'src/checkpoint/load.ts',
    search: "for (const folder of ['seg', 'snap'])",
    replace: "for (const folder of ['snap', 'seg'])",
  },
  {
    name: 'a snapshot is not durable before what it stands for is deleted',
    file: 'src/checkpoint/compaction.ts',
    search: 'await store.put(key, bytes, { durable: isDurable })',
    replace: 'await store.put(key, bytes, { durable: false })',
  },
  {
    name: 'what a snapshot stands for is deleted first',
    file: 'src/checkpoint/compaction.ts',
    search: 'const written = await putSnapshot(',
    replace: 'for (const { key } of covers) await store.delete(key)\n    const written = await putSnapshot(',
  },
  {
    name: "a frame's checksums are not compared (msgpack)",
    file: 'src/checkpoint/format.ts',
    search: 'const isWhole = !isChecked || bytes.readUInt32LE(at + 16) === crc32(bytes.subarray(bodyStart, bodyEnd), seed)',
    replace: 'const isWhole = true',
  },
  {
    name: "a frame's checksums are not compared (JSON)",
    file: 'src/checkpoint/format-json.ts',
    search: 'const isWhole = !hasBody || !isChecked || readHex(line, 16) === crc32(line.subarray(bodyStart, bodyEnd), seed)',
    replace: 'const isWhole = true',
  },
  {
    name: 'the lease is not checked',
    file: 'src/checkpoint/open.ts',
    search: 'const { isLeaseIgnored: isIgnored, place, shard, draining, emit } = options',
    replace: 'const { place, shard, draining, emit } = options\n  const isIgnored = true',
  },
  {
    name: 'a session that was stopped writes on where it was',
    file: 'src/checkpoint/segments.ts',
    search: 'if (options.lease.isStale()) {',
    replace: 'if (options.lease.isStale() && Date.now() < 0) {',
  },
  {
    name: 'a beat hides from the log that its process was stopped',
    file: 'src/checkpoint/lease.ts',
    search: 'hasLapsed ||= own.isOverdue()',
    replace: '',
    tests: ['test/checkpoint/lease.test.ts'],
  },
  {
    name: 'a segment that was left is deleted before its contents are saved again',
    file: 'src/checkpoint/segments.ts',
    search: 'if (acknowledged === 0) abandoned.push(key)',
    replace: 'if (acknowledged === 0) await store.delete(key).catch(() => {})',
    tests: ['test/checkpoint/faults.test.ts'],
  },
  {
    name: 'a retry repeats what succeeded',
    file: 'src/stages/retry.ts',
    search: 'left = chunkOf(again, chunk.keys !== undefined)',
    replace: 'left = chunk',
  },
  {
    name: 'a success and a failure of an item both count',
    file: 'src/checkpoint/load.ts',
    search: 'for (const [id, { index, key }] of failures) if (fulfilled.has(index, key)) failures.delete(id)',
    replace: '',
  },
  {
    name: 'a place is not given back when a chunk has settled',
    file: 'src/run/loop.ts',
    search: '.finally(() => {\n        places.give()',
    replace: '.finally(() => {',
  },
  {
    name: 'a breaker that closes wakes nobody',
    file: 'src/stages/breaker.ts',
    search: 'this.#context.fail(patienceEnded(this.#options, this.#lastReason))\n    }\n    this.#hold.wake()',
    replace: 'this.#context.fail(patienceEnded(this.#options, this.#lastReason))\n    }',
  },
  {
    name: 'results of a lost worker are settled, and its items run again',
    file: 'src/engine/blame.ts',
    search: ': startAnew(piece, piece.settled, end)]',
    replace: ': startAnew(piece, 0, end)]',
  },
  {
    name: 'results that cannot be read are laid at the door of the first of their items',
    file: 'src/engine/blame.ts',
    search: 'if (!isSingly && !end) return undefined',
    replace: '',
  },
  {
    name: 'results that cannot be read are held against the last of their items, as a crash',
    file: 'src/engine/blame.ts',
    search: "if (state === 'unreadable') return 'some'",
    replace: "if (state === 'unreadable') return 'last'",
  },
  {
    name: 'a worker is heard on after results that could not be read',
    file: 'src/engine/pool.ts',
    search: "if (!piece || bench.doom === 'unreadable') return",
    replace: 'if (!piece) return',
  },
  {
    name: 'a tail is taken though its worker has claimed some of it',
    file: 'src/engine/flight-recorder.ts',
    search: 'if (Atomics.load(cells, at + CLAIMED) <= limit) return true',
    replace: 'if (Atomics.load(cells, at + CURSOR) < limit) return true',
  },
  {
    name: 'an iterator that was let go counts as ended',
    file: 'src/iterable-source.ts',
    search: 'isClosed = true',
    replace: '',
  },
  {
    name: 'of two machines that begin a run at once each waits in silence',
    file: 'src/checkpoint/lease.ts',
    search: 'await pause(options, LOOK_MS)\n    await own.beat(false)',
    replace: 'await pause(options, LOOK_MS)',
    tests: ['test/checkpoint/lease.test.ts'],
  },
  {
    name: 'shards of different counts let one another be',
    file: 'src/checkpoint/claim.ts',
    search: 'return gap === 0 || Number.isNaN(gap)',
    replace: 'return shard === other',
    tests: ['test/checkpoint/lease.test.ts'],
  },
  {
    name: 'the names of new files are not synced',
    file: 'src/store/folder.ts',
    search: 'await Promise.all(folders.map(syncFolder))',
    replace: '',
    tests: ['test/crash/power-cut.test.ts'],
  },
  {
    name: 'acknowledged before it is synced, on a real disk',
    file: 'src/checkpoint/segments.ts',
    search: "if (isFlush && options.durability === 'fsync') await opened.log.sync()",
    replace: '',
    tests: ['test/crash/power-cut.test.ts'],
  },
  {
    name: 'a session that gave its store up counts as killed',
    file: 'src/checkpoint/ends.ts',
    search: 'writers: ended, hasEnded: true }',
    replace: 'writers: ended }',
    tests: ['test/resume/suspects.test.ts'],
  },
  {
    name: 'segments of a session that may be at work are merged',
    file: 'src/checkpoint/compaction.ts',
    search: '!options.live.has(writer) && (ended.has(writer) || options.dead.has(writer))',
    replace: '!options.live.has(writer)',
    tests: ['test/checkpoint/compaction.test.ts'],
  },
  {
    name: 'where items with keys are now is not told of',
    file: 'src/checkpoint/open.ts',
    search: 'if (heads.length === 0) return\n',
    replace: 'return\n',
  },
  {
    name: 'kills from outside pass for deeds of whoever ran alone',
    file: 'src/checkpoint/suspects.ts',
    search: '?.slice(forgiven)',
    replace: '',
    tests: ['test/checkpoint/suspects.test.ts'],
  },
]
