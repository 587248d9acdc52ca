import type { Log, Store } from '../../store/store.ts'

/** Makes a call of a store, or says that it is not made. */
export type Ask = <V>(call: () => Promise<V>) => Promise<V>

/** `store`, each call of which is made by `ask`; `changes` puts and deletes in its place. */
export function eachCall(store: Store, ask: Ask, changes: Pick<Store, 'put' | 'delete'> = store): Store {
  const { append, sync, modifiedAt } = store
  return {
    get: (key, range) => ask(() => store.get(key, range)),
    put: (key, bytes, how) => ask(() => changes.put(key, bytes, how)),
    list: (prefix) => ask(() => store.list(prefix)),
    delete: (key) => ask(() => changes.delete(key)),
    ...(append ? { append: async (key) => eachCallOfLog(await ask(() => append.call(store, key)), ask) } : {}),
    ...(sync ? { sync: (key) => ask(() => sync.call(store, key)) } : {}),
    ...(modifiedAt ? { modifiedAt: (key) => ask(() => modifiedAt.call(store, key)) } : {}),
  }
}

function eachCallOfLog(log: Log, ask: Ask): Log {
  const { confirm } = log
  return {
    write: (bytes) => ask(() => log.write(bytes)),
    sync: () => ask(() => log.sync()),
    ...(confirm ? { confirm: () => ask(() => confirm.call(log)) } : {}),
    close: () => ask(() => log.close()),
  }
}
