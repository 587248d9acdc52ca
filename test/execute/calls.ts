/** Memory that the tasks of a test and the test itself both see. Zeros at first. */
export function sharedCells(count: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(Math.max(1, count) * Int32Array.BYTES_PER_ELEMENT))
}

/** Whole numbers from 0. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

/** Resolves when the cell is no longer 0; rejects after 30 s. */
export async function whenSet(cells: Int32Array<SharedArrayBuffer>, at: number): Promise<void> {
  const { async: isAsync, value } = Atomics.waitAsync(cells, at, 0, 30_000)
  if (isAsync && (await value) === 'timed-out') throw new Error(`cell ${at} was not set in time`)
}

/** Opens what a task waits for. */
export function openLatch(cells: Int32Array<SharedArrayBuffer>, at = 0): void {
  Atomics.store(cells, at, 1)
  Atomics.notify(cells, at)
}

/** What a test lets others wait for: they await `passed`, which `open` resolves. */
export function gate(): { readonly passed: Promise<void>; open(): void } {
  let open!: () => void
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { passed, open: () => open() }
}
