/**
 * Wakes those who wait for something to change: a follower of an unfinished upload, a reader of the next parcel
 * version. A hint only, never the truth: who is woken (or times out) reads the record store again.
 */
export interface ChangeFeed {
  /** Wakes everyone waiting on `topic`. */
  announce(topic: string): void
  /**
   * Begins to listen; take it before reading the record, so that a change in between is not missed.
   * Dispose it when done.
   */
  listen(topic: string): ChangeListener
}

export interface ChangeListener extends Disposable {
  /** Resolves true when something was announced since the last call (or since `listen`), false after `timeoutMs`. */
  next(timeoutMs: number, signal: AbortSignal): Promise<boolean>
}

export const blobTopic = (blobId: string): string => `blob/${blobId}`
/** Someone stored this part. */
export const partTopic = (uploadId: string, index: number): string => `part/${uploadId}/${index}`
/** The upload is over: complete or given up. */
export const uploadTopic = (uploadId: string): string => `upload/${uploadId}`
export const parcelTopic = (parcelId: string): string => `parcel/${parcelId}`
