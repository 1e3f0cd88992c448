import type { RecordStore } from '../../src/server/index.ts'

/** A record store in which something may happen before and after every call. */
export function hookedRecords(inner: RecordStore, hook: () => Promise<void>): RecordStore {
  return new Proxy(inner, {
    get(target, name, receiver) {
      const value: unknown = Reflect.get(target, name, receiver)
      if (typeof value !== 'function' || typeof name === 'symbol') return value
      return async (...args: unknown[]) => {
        await hook()
        const result: unknown = await Reflect.apply(value, target, args)
        await hook()
        return result
      }
    },
  })
}
