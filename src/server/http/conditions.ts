/** Conditional requests (RFC 9110, section 13), as far as immutable bytes and versions need them. */
import { SealiftError } from '../../protocol/errors.ts'
import { VERSION_TAG_PATTERN } from '../../protocol/headers.ts'

/** Longer lists of validators are ignored. */
const MAX_HEADER_LENGTH = 2048

/** `If-None-Match`: true when the client has `etag` already (weak comparison, RFC 9110 13.1.2). */
export function matchesNone(header: string | undefined, etag: string): boolean {
  if (header === undefined || header.length > MAX_HEADER_LENGTH) return false
  if (header === etag || header === '*') return true
  return header.split(',').some(item => item.trim().replace(/^W\//, '') === etag)
}

/** `If-Range`: true when `Range` applies (strong comparison). Dates never match, since the server sends none. */
export function allowsRange(header: string | undefined, etag: string): boolean {
  return header === undefined || header.trim() === etag
}

export function versionTag(version: number): string {
  return `"${version}"`
}

/** The version in the ETag of a parcel, as in `If-None-Match: "3"`; `null` without one. */
export function parseVersionTag(header: string | undefined): number | null {
  const match = header === undefined ? null : VERSION_TAG_PATTERN.exec(header.trim().replace(/^W\//, ''))
  return match ? Number(match[1]) : null
}

/**
 * `If-Match` of a replacement. @throws precondition_required when absent, invalid_request when it names no version
 */
export function requireVersion(header: string | undefined): number {
  if (header === undefined) {
    throw new SealiftError('precondition_required', 'Send If-Match with the ETag of the version you replace')
  }
  const match = VERSION_TAG_PATTERN.exec(header.trim())
  if (!match) throw new SealiftError('invalid_request', 'If-Match must be the ETag of one version, such as "3"')
  return Number(match[1])
}
