import type { Entry } from '../format/entries.ts'
import type { RunLog } from '../log/log.ts'
import type { RunIndex } from '../record/run-index.ts'
import { isFailed } from '../record/verdict.ts'
import type { Recording } from './recording.ts'
import type { SessionOptions } from './session.ts'

/** Ends the log of a session with a word of how; `hasFailed`: more items failed than is tolerated. As the log's own. */
export interface Ending {
  end(hasFailed: boolean): Promise<boolean>
  close(hasFailed: boolean): Promise<boolean>
}

export function createEnding(
  { shard, clock }: Pick<SessionOptions, 'shard' | 'clock'>,
  index: RunIndex,
  log: RunLog,
  recording: Recording,
): Ending {
  const lastEntry = (hasFailed: boolean): Entry => {
    const { settledItems, done } = recording
    const close = {
      ...{ kind: 'close' as const, at: clock.today() },
      ...(hasFailed ? { hasFailed } : {}),
      ...(shard === undefined ? {} : { shard }),
      ...(settledItems > 0 ? { settled: settledItems } : {}),
      ...(done === undefined ? {} : { done }),
    }
    return {
      // As it is written: segments may be left until then.
      get head() {
        return log.sizes.length > 0 ? { ...close, sizes: [...log.sizes] } : close
      },
      ...{ body: [], items: 0, fresh: 0, bytes: 0 },
    }
  }
  // A session that recorded nothing leaves no segment, unless it is news how it ended.
  const isNews = (hasFailed: boolean) => hasFailed !== isFailed(index)
  return {
    end(hasFailed) {
      recording.leaveAside()
      return log.end(lastEntry(hasFailed), isNews(hasFailed))
    },
    close(hasFailed) {
      recording.leaveAside()
      return log.close(lastEntry(hasFailed), isNews(hasFailed))
    },
  }
}
