/**
 * Announces that a record has changed: an unfinished upload to its followers, a parcel to readers of its next version.
 * A hint only: a listener that is woken (or times out) reads the record store again.
 */
export interface ChangeFeed {
  /** Wakes all listeners of `topic`. */
  announce(topic: string): void
  /**
   * Starts to listen. Call it before reading the record, so that a change in between is not missed.
   */
  listen(topic: string): ChangeListener
}

export interface ChangeListener extends Disposable {
  /** Resolves true when something was announced since the last call (or since `listen`), false after `timeoutMs`. */
  next(timeoutMs: number, signal: AbortSignal): Promise<boolean>
}

export const blobTopic = (blobId: string): string => `blob/${blobId}`

/** The part was stored. */
export const partTopic = (uploadId: string, index: number): string => `part/${uploadId}/${index}`

/** The upload was completed or aborted. */
export const uploadTopic = (uploadId: string): string => `upload/${uploadId}`

export const parcelTopic = (parcelId: string): string => `parcel/${parcelId}`

/** The feed is a hint: a follower looks again after this long even without an announcement. */
const LOOK_AGAIN_MS = 15_000

export interface FollowedTopic {
  readonly feed: ChangeFeed
  readonly topic: string
  readonly signal: AbortSignal
}

/**
 * Repeats `look` after each announcement of a topic until it returns something; `null` when it has not after `waitMs`.
 * @throws what `look` throws; the signal's reason
 */
export function followTopic<T>(
  followed: FollowedTopic & { readonly waitMs: number },
  look: () => Promise<T | null>,
): Promise<T | null>
export function followTopic<T>(followed: FollowedTopic, look: () => Promise<T | null>): Promise<T>
export async function followTopic<T>(
  { feed, topic, signal, waitMs = Infinity }: FollowedTopic & { readonly waitMs?: number },
  look: () => Promise<T | null>,
): Promise<T | null> {
  using changes = feed.listen(topic)
  const deadlineMs = performance.now() + waitMs
  for (;;) {
    const found = await look()
    const leftMs = deadlineMs - performance.now()
    if (found !== null || leftMs <= 0) return found
    await changes.next(Math.min(leftMs, LOOK_AGAIN_MS), signal)
  }
}
