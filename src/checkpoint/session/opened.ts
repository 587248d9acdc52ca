import type { Codec } from '../../values/contract.ts'
import type { Lease } from '../claims/lease.ts'
import type { Manifest } from '../identity/manifest.ts'
import type { Restored } from '../record/restored.ts'
import type { RunIndex } from '../record/run-index.ts'

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
