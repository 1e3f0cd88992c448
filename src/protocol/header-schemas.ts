/**
 * What each header may hold, once for all routes: the OpenAPI document is made from these tables. A request header
 * has a pattern only where another value is refused; RFC 9110 and RFC 7240 want what is not understood in `Range`,
 * `If-Range`, `If-None-Match` and `Prefer` to be passed over, and so does this server.
 */
import * as z from 'zod'

import {
  DIGEST_MAX_LENGTH,
  DIGEST_PATTERN,
  IDEMPOTENCY_KEY_PATTERN,
  MEDIA_COUNT_PATTERN,
  OWNER_PATTERN,
  VERSION_TAG_PATTERN,
} from './headers.ts'
import { ID_PATTERN } from './ids.ts'

export interface RequestHeader {
  readonly schema: z.ZodType
  readonly description: string
  readonly required?: boolean
  readonly example: string
}

export const REQUEST_HEADERS: Readonly<Record<string, RequestHeader>> = {
  'Sealift-Owner': {
    schema: z.string().min(22).max(128).regex(OWNER_PATTERN),
    description: 'A secret that the sender chooses: at least 128 random bits, as base64url. Its holder is an owner',
    example: 'b3duZXItc2VjcmV0LW9mLTE5Mi1iaXRz',
  },
  'Idempotency-Key': {
    schema: z.string().min(1).max(128).regex(IDEMPOTENCY_KEY_PATTERN),
    description: 'Makes the request repeatable for a day: printable ASCII without spaces',
    example: '6f7f7c1e-2c44-4c5b-9f0e-0c8c8f6f3a55',
  },
  'Content-Digest': {
    schema: z.string().max(DIGEST_MAX_LENGTH).regex(DIGEST_PATTERN).meta({ format: 'content-digest' }),
    description: 'RFC 9530: the SHA-256 of the body, verified before the response; other digests beside it are ignored',
    example: 'sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:',
  },
  'Sealift-Media-Count': {
    schema: z.string().min(1).max(5).regex(MEDIA_COUNT_PATTERN),
    description:
      'How many media ids of 26 characters precede the manifest in an octet-stream body: at most 20000; 0 when absent',
    example: '0',
  },
  'If-Match': {
    schema: z.string().min(3).max(17).regex(VERSION_TAG_PATTERN),
    description: 'The ETag of the version that is replaced; one, and no weak one. 428 without it',
    required: true,
    example: '"1"',
  },
  'If-None-Match': {
    schema: z.string(),
    description: 'ETags that the client has: 304 if one of them is current. More than 2048 characters are ignored',
    example: '"1"',
  },
  'If-Range': {
    schema: z.string(),
    description: 'Honours `Range` only while this is the ETag; otherwise all bytes are sent',
    example: '"aaaaaaaaaaaaaaaaaaaaaaaaaa"',
  },
  Range: {
    schema: z.string(),
    description: 'RFC 9110: one range of bytes. Several ranges, other units and malformed headers are ignored',
    example: 'bytes=0-',
  },
  Prefer: {
    schema: z.string(),
    description: 'RFC 7240: `wait=SECONDS` waits for a newer version than `If-None-Match` names; all else is ignored',
    example: 'wait=1',
  },
  'Sealift-Download': {
    schema: z.string(),
    description:
      'The download that this request goes on with, as an earlier response named it; an unknown one begins anew',
    example: 'aaaaaaaaaaaaaaaaaaaaaaaaaa',
  },
}

export interface ResponseHeader {
  readonly schema: z.ZodType
  readonly description: string
  /** Comes with some responses of a status only. */
  readonly optional?: boolean
}

const wholeNumber = z.string().regex(/^[0-9]+$/)

export const RESPONSE_HEADERS: Readonly<Record<string, ResponseHeader>> = {
  ETag: { schema: z.string().regex(/^"[A-Za-z0-9_-]+"$/), description: 'Strong validator' },
  'Cache-Control': { schema: z.string(), description: 'Who may keep the response, and for how long' },
  'Content-Length': { schema: wholeNumber, description: 'Absent while the size is not known', optional: true },
  'Content-Range': {
    schema: z.string().regex(/^bytes [0-9]+-[0-9]+\/([0-9]+|\*)$/),
    description: 'The bytes that are sent; `*` while the size is not known',
  },
  'Sealift-Download': {
    schema: z.string().regex(ID_PATTERN),
    description: 'Names this download, to go on with it; only where downloads are counted',
    optional: true,
  },
  'Sealift-State': { schema: z.enum(['uploading', 'complete']), description: '`uploading` while it still grows' },
  'Sealift-Transfer': { schema: z.enum(['proxy', 'direct']), description: 'As `transfer` of a begun upload' },
  'Sealift-Version': { schema: z.string().regex(/^[1-9][0-9]*$/), description: 'The version of the parcel' },
  'Sealift-Request-Id': {
    schema: z.string(),
    description: "Names the request in the server's log; absent where the request could not be read",
    optional: true,
  },
  'Retry-After': { schema: wholeNumber, description: 'Seconds to wait', optional: true },
  'WWW-Authenticate': { schema: z.string(), description: 'How to authenticate: Bearer' },
}

/** Headers of every refusal with one of these statuses. */
export const PROBLEM_HEADERS: Readonly<Record<number, readonly string[]>> = {
  401: ['WWW-Authenticate'],
  429: ['Retry-After'],
  503: ['Retry-After'],
  507: ['Retry-After'],
}
