import type { Lease } from './lease.ts'
import type { RunIndex } from './load.ts'
import type { Manifest } from './manifest.ts'
import type { Restored } from './restored.ts'
import type { Codec } from './values/codec.ts'

/** What a session starts from: its claim, and what was recorded before. */
export interface Opened {
  readonly writer: string
  readonly lease: Lease
  readonly manifest: Manifest
  readonly index: RunIndex
  readonly restored: Restored
  /** Whether there is something to mend, once that is known. Never rejects. */
  readonly isToMend: Promise<boolean>
  readonly codec: Codec
}
