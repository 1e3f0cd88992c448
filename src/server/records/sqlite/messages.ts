/** What travels between the record store and its worker thread. */
import { isSealiftError, SealiftError, type SealiftErrorCode } from '../../../protocol/errors.ts'
import type { RecordStore } from '../record-store.ts'

/** Every method of the store that may write, or asks for more than a request should wait for on its own thread. */
export const METHODS = [
  'beginUpload',
  'reservePart',
  'addressPart',
  'recordPart',
  'finalizeUpload',
  'finishUpload',
  'finishWhole',
  'abortUpload',
  'addLease',
  'endLease',
  'takeDownload',
  'returnDownload',
  'publishParcel',
  'readManifest',
  'replaceManifest',
  'endParcel',
  'seeDevice',
  'endExpiredLeases',
  'endExpiredParcels',
  'abortExpiredUploads',
  'listCompleting',
  'listTombstones',
  'postponeTombstone',
  'purgeBlob',
  'listHeld',
  'releaseHeld',
  'purgeEnded',
  'knownBlobs',
  'listLiveBlobs',
  'endBlob',
  'auditUsage',
  'totals',
  'databaseTime',
  'acquireLease',
  'renewLease',
  'releaseLease',
  'migrate',
  'checkSchema',
  'probe',
] as const satisfies readonly (keyof RecordStore)[]

export type Method = (typeof METHODS)[number]

export interface Call {
  readonly id: number
  readonly method: Method
  readonly args: readonly unknown[]
}

/** Id 0 answers the opening itself. */
export type Answer =
  { readonly id: number; readonly value: unknown } | { readonly id: number; readonly error: FlatError }

/** An error as data: a structured clone would keep neither its class nor its code. */
export interface FlatError {
  readonly code: SealiftErrorCode | null
  readonly message: string
  readonly context: Readonly<Record<string, unknown>>
  readonly cause: string | null
}

export function flattenError(error: unknown): FlatError {
  if (isSealiftError(error)) {
    const { code, message, context, cause } = error
    return { code, message, context, cause: cause instanceof Error ? cause.message : null }
  }
  if (error instanceof Error) return { code: null, message: error.message, context: {}, cause: error.stack ?? null }
  return { code: null, message: 'The record thread failed', context: {}, cause: null }
}

export function reviveError({ code, message, context, cause }: FlatError): Error {
  if (code !== null) return new SealiftError(code, message, { context, ...(cause === null ? {} : { cause }) })
  return new Error(message, { cause })
}
