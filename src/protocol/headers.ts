/** Names and values of the headers that Sealift defines or relies on. All lower case, as Node and fetch give them. */
export const HEADER = {
  /** A secret chosen by the sender; its holder owns the upload, lease or parcel that was made with it. */
  owner: 'sealift-owner',
  /** One counted download: issued by the first GET of a media item, repeated with every further range of it. */
  download: 'sealift-download',
  /** The version of a parcel, a whole number that only grows. */
  version: 'sealift-version',
  /** `uploading` while a media item still grows, `complete` afterwards. */
  state: 'sealift-state',
  /** `direct` on a manifest whose media may be fetched straight from the store. */
  transfer: 'sealift-transfer',
  /** How many media ids a raw manifest body begins with. */
  mediaCount: 'sealift-media-count',
  contentDigest: 'content-digest',
  idempotencyKey: 'idempotency-key',
  requestId: 'sealift-request-id',
} as const

export const OCTET_STREAM = 'application/octet-stream'
export const PROBLEM_JSON = 'application/problem+json'

/** An owner secret: at least 128 bits as base64url. */
export const OWNER_PATTERN = /^[A-Za-z0-9_-]{22,128}$/

/** A number of media, without leading zeros. */
export const MEDIA_COUNT_PATTERN = /^(?:0|[1-9]\d{0,4})$/

export const IDEMPOTENCY_KEY_PATTERN = /^[\x21-\x7e]{1,128}$/

/**
 * `Content-Digest` with one well-formed SHA-256, alone or among other digests; canonical base64 alone, as for every
 * digest.
 */
export const DIGEST_PATTERN =
  /^(?:[!-+\--~][ -+\--~]{0,127},[ \t]*){0,3}sha-256=:([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=):(?:[ \t]*,[ -~]{0,256}[!-~])?$/
export const DIGEST_MAX_LENGTH = 512

/** The ETag of a parcel's version, as `If-Match` takes it. */
export const VERSION_TAG_PATTERN = /^"([1-9][0-9]{0,14})"$/

/** `Content-Digest` (RFC 9530) for a SHA-256 given as base64. */
export function formatContentDigest(sha256Base64: string): string {
  return `sha-256=:${sha256Base64}:`
}

/** The SHA-256 (base64) of a `Content-Digest` header; `null` when the header names no well-formed SHA-256. */
export function parseContentDigest(header: string): string | null {
  return header.length > DIGEST_MAX_LENGTH ? null : (DIGEST_PATTERN.exec(header)?.[1] ?? null)
}

/** A `Content-Range` of a response. `size` is `null` while the total is not known yet (`*`). */
export interface ContentRange {
  /** First byte, inclusive. */
  readonly start: number
  /** Last byte, inclusive. */
  readonly end: number
  readonly size: number | null
}

const CONTENT_RANGE = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/

export function formatContentRange(range: ContentRange): string {
  return `bytes ${range.start}-${range.end}/${range.size ?? '*'}`
}

export function parseContentRange(header: string): ContentRange | null {
  const match = CONTENT_RANGE.exec(header)
  if (!match) return null
  return { start: Number(match[1]), end: Number(match[2]), size: match[3] === '*' ? null : Number(match[3]) }
}

/** The seconds asked for by `Prefer: wait=N` (RFC 7240); `null` when it does not ask to wait. */
export function parsePreferWait(header: string): number | null {
  const match = /(?:^|[,;])\s*wait=(\d{1,4})\s*(?:[,;]|$)/.exec(header)
  return match ? Number(match[1]) : null
}
