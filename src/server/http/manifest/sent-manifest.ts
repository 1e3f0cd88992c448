/** A sealed manifest as it was sent, with the media it covers. */
export interface SentManifest {
  readonly manifest: Uint8Array
  readonly media: readonly string[]
  readonly ttlSeconds?: number | undefined
  /** SHA-256 (hex) of the ids of the media and the manifest: what must be the same when a request is repeated. */
  readonly sha256: string
}

export const ID_BYTES = 26
/** Media that one parcel may cover. */
export const MAX_MEDIA = 20_000

/** The ids out of a text that is nothing but ids. */
export function cutIds(text: string): string[] {
  return Array.from({ length: text.length / ID_BYTES }, (_, at) => text.slice(at * ID_BYTES, (at + 1) * ID_BYTES))
}
