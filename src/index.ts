export type { Damage, FileDetails, RunDetails, RunIdentity, RunSummary, SessionDetails } from './checkpoint/stored/runs.ts'
export {
  CheckpointCorruptError,
  CheckpointMismatchError,
  CheckpointVersionError,
  CheckpointWriteError,
  CircuitOpenError,
  type ErrorCode,
  InvalidOptionError,
  NonRetryableError,
  PawlError,
  RunAbortedError,
  RunFailedError,
  RunLockedError,
  RunNotFoundError,
  SerializationError,
  StoreConflictError,
  TaskLoadError,
  TaskTimeoutError,
  WorkerCrashError,
} from './errors.ts'
export { execute, plan, stream } from './execute.ts'
export { createExecutor, type Executor, type RunOptions } from './executor.ts'
export { move } from './move.ts'
export type {
  BreakerOptions,
  CheckpointOptions,
  ExecuteOptions,
  Listeners,
  PreemptOptions,
  RetryContext,
  RetryOptions,
  WorkerLimits,
} from './options/options.ts'
export type { OutcomeStream } from './run/stream.ts'
export { fileStore } from './store/file.ts'
export { memoryStore } from './store/memory.ts'
export type { ByteRange, Log, PutOptions, Store, StoredObject } from './store/store.ts'
export { deleteRun, inspectRun, listRuns, readResults, verifyRun } from './stored-runs.ts'
export { defineTask, type Task, type TaskRef } from './task/task.ts'
export type {
  Events,
  Failure,
  FailureKind,
  Fulfilled,
  Json,
  Outcome,
  Plan,
  Rejected,
  Report,
  Stats,
  TaskContext,
  TaskFunction,
} from './types.ts'
