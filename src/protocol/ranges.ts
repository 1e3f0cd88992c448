/**
 * `Range` of RFC 9110 section 14, for bytes: one range or none. Several ranges, other units and malformed headers are
 * ignored, as the RFC allows: the response then has all bytes.
 */

/** Bytes from `start` up to, not including, `end`. */
export interface ResolvedRange {
  readonly start: number
  readonly end: number
}

/** What a client asked for; resolved once the size is known. `last` is inclusive, `null`: to the end. */
export type RangeSpec = { readonly first: number; readonly last: number | null } | { readonly suffixBytes: number }

/** Longer headers are ignored: one range needs no more (and many ranges are an attack). */
const MAX_HEADER_LENGTH = 256

// `\d` has no length limit here on purpose: huge numbers are well formed, and just lie past the end.
const ONE_RANGE = /^bytes=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/i

export function parseRange(header: string | undefined): RangeSpec | null {
  if (header === undefined || header.length > MAX_HEADER_LENGTH) return null
  const match = ONE_RANGE.exec(header)
  if (!match) return null
  const [, first, last, suffix] = match
  if (suffix !== undefined) return { suffixBytes: Number(suffix) }
  const spec = { first: Number(first), last: last ? Number(last) : null }
  return spec.last !== null && spec.last < spec.first ? null : spec
}

/** The bytes a range means in a media item of `sizeBytes`; `null` when it lies outside (416). */
export function resolveRange(spec: RangeSpec, sizeBytes: number): ResolvedRange | null {
  if ('suffixBytes' in spec) {
    return spec.suffixBytes === 0 ? null : { start: Math.max(0, sizeBytes - spec.suffixBytes), end: sizeBytes }
  }
  if (spec.first >= sizeBytes) return null
  return { start: spec.first, end: spec.last === null ? sizeBytes : Math.min(sizeBytes, spec.last + 1) }
}
