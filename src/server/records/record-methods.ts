/** The methods of the records port, once, and the base of its decorators. */
import type { RecordStore } from './record-store.ts'

export type RecordMethod = Exclude<keyof RecordStore, symbol>

/**
 * - `quick`: on SQLite, a read of microseconds that runs on the event loop; all others run in the worker thread;
 * - `frees`: may free disk space; repeated with the space reserve released when the disk is full.
 */
type MethodTrait = 'quick' | 'frees'

/** Every method of the port: the compiler refuses a missing or an unknown one. */
export const RECORD_METHODS = {
  beginUpload: null,
  findUpload: 'quick',
  reservePart: null,
  reservePresignedPart: null,
  recordPart: null,
  findPart: 'quick',
  listParts: 'quick',
  finalizeUpload: null,
  finishUpload: null,
  finishInOneStep: null,
  abortUpload: 'frees',
  findMedia: 'quick',
  durablePrefix: 'quick',
  addLease: null,
  endLease: 'frees',
  takeDownload: null,
  hasGrant: 'quick',
  returnDownload: null,
  publishParcel: null,
  findParcel: 'quick',
  readManifest: null,
  replaceManifest: null,
  endParcel: 'frees',
  usage: 'quick',
  noteDevice: null,
  countDevices: 'quick',
  endExpiredLeases: 'frees',
  endExpiredParcels: 'frees',
  abortExpiredUploads: 'frees',
  listCompleting: null,
  listTombstones: null,
  postponeTombstone: null,
  purgeBlob: 'frees',
  listPresignedCharges: null,
  releasePresignedCharge: 'frees',
  purgeEnded: 'frees',
  knownBlobs: null,
  listLiveBlobs: null,
  endBlob: null,
  auditUsage: null,
  totals: null,
  databaseTime: null,
  acquireLock: null,
  renewLock: null,
  releaseLock: null,
  migrate: null,
  checkSchema: null,
  probe: null,
} as const satisfies Record<RecordMethod, MethodTrait | null>

type MethodsWith<Trait> = {
  [Method in RecordMethod]: (typeof RECORD_METHODS)[Method] extends Trait ? Method : never
}[RecordMethod]

export type QuickMethod = MethodsWith<'quick'>
export type WorkerMethod = Exclude<RecordMethod, QuickMethod>

const ALL_METHODS = Object.keys(RECORD_METHODS) as readonly RecordMethod[]
export const QUICK_METHODS = ALL_METHODS.filter(method => RECORD_METHODS[method] === 'quick') as readonly QuickMethod[]
export const WORKER_METHODS = ALL_METHODS.filter(
  method => RECORD_METHODS[method] !== 'quick',
) as readonly WorkerMethod[]

/** Any method of the port, called with arguments that were not checked here. */
export type AnyCall = (...args: readonly unknown[]) => Promise<unknown>

/** Changes a call of the store underneath. */
type Wrap = (method: RecordMethod, call: AnyCall) => AnyCall

class Decorator {
  readonly [Symbol.asyncDispose]: () => PromiseLike<void>

  constructor(inner: RecordStore, wrap: Wrap = (_method, call) => call) {
    for (const method of ALL_METHODS) {
      const override: unknown = Reflect.get(this, method)
      const passOn = wrap(method, inner[method].bind(inner) as AnyCall)
      Reflect.set(this, method, typeof override === 'function' ? (override.bind(this) as unknown) : passOn)
    }
    this[Symbol.asyncDispose] = () => inner[Symbol.asyncDispose]()
  }
}

/**
 * Base of the decorators of a record store: passes every call on, except the methods that a subclass defines. All
 * methods are own properties, so that a decorator can be spread.
 */
export const RecordStoreDecorator = Decorator as unknown as new (inner: RecordStore, wrap?: Wrap) => RecordStore
