/**
 * The wire contract as one table. The server mounts it (and reads its access policy from it), the client builds its
 * URLs from it, and the OpenAPI document and docs/protocol.md are made from it.
 */
import type { Route } from './route.ts'
import * as schemas from './schemas.ts'

export type { Access, Route, RouteAnswer } from './route.ts'

/** Codes that any route may answer with. */
export const COMMON_ERRORS = [
  'invalid_request',
  'unauthorized',
  'too_many_devices',
  'unsupported_media_type',
  'rate_limited',
  'headers_too_large',
  'unavailable',
  'shutting_down',
  'internal',
] as const

const QUOTA_ERRORS = ['too_large', 'quota_exceeded', 'too_many_pending', 'storage_full'] as const

const MANIFEST_ERRORS = ['too_large', 'quota_exceeded', 'storage_full', 'length_required', 'too_many_uploads'] as const

export const ROUTES = {
  beginUpload: {
    method: 'POST',
    path: '/v1/uploads',
    access: 'client',
    summary: 'Begin an upload',
    json: schemas.beginUploadRequest,
    headers: ['Sealift-Owner', 'Idempotency-Key'],
    answers: [{ status: 201, description: 'Parts may now be sent', json: schemas.uploadBegun }],
    errors: [...QUOTA_ERRORS, 'idempotency_conflict'],
  },
  putPart: {
    method: 'PUT',
    path: '/v1/uploads/{uploadId}/parts/{index}',
    access: 'uploader',
    summary: 'Store one part; in any order, in parallel, any number of times',
    streams: ['application/octet-stream'],
    headers: ['Content-Length', 'Content-Digest'],
    answers: [{ status: 204, description: 'The part is durable' }],
    errors: [
      ...QUOTA_ERRORS,
      'not_found',
      'gone',
      'length_required',
      'digest_mismatch',
      'part_conflict',
      'upload_complete',
      'size_mismatch',
      'too_many_uploads',
      'stalled',
    ],
  },
  directPart: {
    method: 'POST',
    path: '/v1/uploads/{uploadId}/parts/{index}/direct',
    access: 'uploader',
    summary: 'An address at the store to PUT one part to; the part counts once it is confirmed',
    json: schemas.directPartRequest,
    answers: [
      { status: 200, description: 'PUT the bytes there, then confirm the part', json: schemas.directAddress },
      { status: 204, description: 'The part is durable already, with these bytes' },
    ],
    errors: [
      ...QUOTA_ERRORS,
      'not_found',
      'gone',
      'not_direct',
      'part_conflict',
      'upload_complete',
      'size_mismatch',
      'too_many_uploads',
      'damaged',
    ],
  },
  confirmPart: {
    method: 'POST',
    path: '/v1/uploads/{uploadId}/parts/{index}/stored',
    access: 'uploader',
    summary: 'Say that a part has been stored directly; the server looks at the store before it counts',
    json: schemas.directPartRequest,
    answers: [{ status: 204, description: 'The part is durable' }],
    errors: [
      ...QUOTA_ERRORS,
      'not_found',
      'gone',
      'not_direct',
      'parts_missing',
      'part_conflict',
      'upload_complete',
      'size_mismatch',
      'damaged',
    ],
  },
  uploadStatus: {
    method: 'GET',
    path: '/v1/uploads/{uploadId}',
    access: 'uploader',
    summary: 'Which parts are durable, to resume',
    answers: [{ status: 200, description: 'The state of the upload', json: schemas.uploadStatus }],
    errors: ['not_found', 'gone'],
  },
  completeUpload: {
    method: 'POST',
    path: '/v1/uploads/{uploadId}/complete',
    access: 'uploader',
    summary: 'End an upload; repeating it gives the same answer',
    json: schemas.completeUploadRequest,
    answers: [{ status: 200, description: 'The media is complete and never changes again', json: schemas.media }],
    errors: ['not_found', 'gone', 'parts_missing', 'size_mismatch', 'storage_full', 'damaged'],
  },
  abortUpload: {
    method: 'DELETE',
    path: '/v1/uploads/{uploadId}',
    access: 'uploader',
    summary:
      'Give up an upload and free what it holds: at once, or what addresses may still bring once they have expired',
    answers: [{ status: 204, description: 'Given up, now or earlier' }],
    errors: ['not_found', 'upload_complete'],
  },
  storeMedia: {
    method: 'POST',
    path: '/v1/media',
    access: 'client',
    summary: 'Store a whole media in one request, or many with a form',
    query: schemas.beginUploadRequest.pick({ kind: true, ttlSeconds: true, maxDownloads: true }),
    streams: ['application/octet-stream', 'multipart/form-data'],
    headers: ['Sealift-Owner', 'Idempotency-Key', 'Content-Digest'],
    answers: [
      { status: 201, description: 'A raw body: the media is durable', json: schemas.media },
      { status: 200, description: 'A form: one result for each file', json: schemas.formResult },
    ],
    errors: [
      ...QUOTA_ERRORS,
      'unsupported_media_type',
      'digest_mismatch',
      'gone',
      'too_many_uploads',
      'stalled',
      'idempotency_conflict',
    ],
  },
  readMedia: {
    method: 'GET',
    path: '/v1/media/{mediaId}',
    access: 'reader',
    summary: 'The bytes, whole or one range; follows a media that is still being uploaded',
    headers: ['Range', 'If-Range', 'If-None-Match', 'Sealift-Download'],
    answers: [
      {
        status: 200,
        description: 'All bytes',
        bytes: true,
        headers: ['ETag', 'Content-Length', 'Sealift-Download', 'Sealift-State'],
      },
      { status: 206, description: 'One range', bytes: true, headers: ['ETag', 'Content-Range', 'Sealift-Download'] },
      { status: 304, description: 'The validator still holds' },
    ],
    errors: [
      'not_found',
      'gone',
      'downloads_exhausted',
      'range_not_satisfiable',
      'too_many_downloads',
      'upload_in_progress',
      'damaged',
    ],
  },
  headMedia: {
    method: 'HEAD',
    path: '/v1/media/{mediaId}',
    access: 'reader',
    summary: 'The headers of GET of the whole media, not counted as a download',
    headers: ['If-None-Match'],
    answers: [
      { status: 200, description: 'As GET, without the bytes', headers: ['ETag', 'Content-Length', 'Sealift-State'] },
      { status: 304, description: 'The validator still holds' },
    ],
    errors: ['not_found', 'gone', 'downloads_exhausted'],
  },
  directRead: {
    method: 'POST',
    path: '/v1/media/{mediaId}/direct',
    access: 'reader',
    summary: 'Addresses at the store to GET the parts of a complete media from; counts as GET does',
    json: schemas.directReadRequest,
    headers: ['Sealift-Download'],
    answers: [
      { status: 200, description: 'The addresses', json: schemas.directRead, headers: ['ETag', 'Sealift-Download'] },
    ],
    errors: [
      'not_found',
      'gone',
      'not_direct',
      'downloads_exhausted',
      'range_not_satisfiable',
      'too_many_downloads',
      'upload_in_progress',
    ],
  },
  endDirect: {
    method: 'DELETE',
    path: '/v1/direct/{transferId}',
    access: 'reader',
    summary: 'Free the slot of a direct transfer that is over before its addresses expire',
    answers: [{ status: 204, description: 'Free, now or earlier' }],
    errors: ['not_found'],
  },
  mediaInfo: {
    method: 'GET',
    path: '/v1/media/{mediaId}/info',
    access: 'reader',
    summary: 'Facts about a media',
    answers: [{ status: 200, description: 'The facts', json: schemas.media }],
    errors: ['not_found', 'gone'],
  },
  forwardMedia: {
    method: 'POST',
    path: '/v1/media/{mediaId}/leases',
    access: 'client',
    summary: 'Forward: a new lease with its own id, owner and expiry; no bytes are copied',
    json: schemas.leaseRequest,
    headers: ['Sealift-Owner', 'Idempotency-Key'],
    answers: [{ status: 201, description: 'The new lease', json: schemas.media }],
    errors: [
      'not_found',
      'gone',
      'downloads_exhausted',
      'upload_in_progress',
      'quota_exceeded',
      'storage_full',
      'idempotency_conflict',
    ],
  },
  endLease: {
    method: 'DELETE',
    path: '/v1/media/{mediaId}',
    access: 'owner',
    summary: "End the owner's lease; the bytes go with the last lease",
    headers: ['Sealift-Owner'],
    answers: [{ status: 204, description: 'Ended, now or earlier' }],
    errors: ['not_found'],
  },
  publishParcel: {
    method: 'POST',
    path: '/v1/parcels',
    access: 'client',
    summary: 'Publish a sealed manifest and the media it covers',
    query: schemas.publishParcelRequest.pick({ ttlSeconds: true }),
    json: schemas.publishParcelRequest,
    jsonDeprecated: true,
    streams: ['application/octet-stream'],
    headers: ['Sealift-Owner', 'Idempotency-Key', 'Sealift-Media-Count', 'Content-Length'],
    answers: [{ status: 201, description: 'Version 1 is readable', json: schemas.parcel, headers: ['ETag'] }],
    errors: [...MANIFEST_ERRORS, 'not_found', 'idempotency_conflict'],
  },
  replaceManifest: {
    method: 'PUT',
    path: '/v1/parcels/{parcelId}/manifest',
    access: 'owner',
    summary: 'Publish the next version of a parcel',
    json: schemas.replaceManifestRequest,
    jsonDeprecated: true,
    streams: ['application/octet-stream'],
    headers: ['Sealift-Owner', 'If-Match', 'Sealift-Media-Count', 'Content-Length'],
    answers: [{ status: 200, description: 'The new version is readable', json: schemas.parcel, headers: ['ETag'] }],
    errors: [...MANIFEST_ERRORS, 'not_found', 'gone', 'version_mismatch', 'precondition_required'],
  },
  readParcel: {
    method: 'GET',
    path: '/v1/parcels/{parcelId}',
    access: 'reader',
    summary: 'The sealed manifest; with If-None-Match and Prefer: wait=N, the next version as soon as there is one',
    headers: ['If-None-Match', 'Prefer'],
    answers: [
      {
        status: 200,
        description: 'The sealed manifest',
        bytes: true,
        headers: ['ETag', 'Sealift-Version', 'Sealift-Transfer'],
      },
      { status: 304, description: 'No newer version (within the time asked for)' },
    ],
    errors: ['not_found', 'gone', 'too_many_downloads'],
  },
  endParcel: {
    method: 'DELETE',
    path: '/v1/parcels/{parcelId}',
    access: 'owner',
    summary: 'End a parcel and the leases it covers',
    headers: ['Sealift-Owner'],
    answers: [{ status: 204, description: 'Ended, now or earlier' }],
    errors: ['not_found'],
  },
  limits: {
    method: 'GET',
    path: '/v1/limits',
    access: 'client',
    summary: 'What applies to me, what I use, what is left',
    answers: [{ status: 200, description: 'Limits and usage', json: schemas.limits }],
    errors: [],
  },
  health: {
    method: 'GET',
    path: '/healthz',
    access: 'public',
    summary: 'The process runs',
    answers: [{ status: 200, description: 'It does', json: schemas.health }],
    errors: [],
  },
  ready: {
    method: 'GET',
    path: '/readyz',
    access: 'public',
    summary: 'Storage and records work, and the server is not stopping',
    answers: [
      { status: 200, description: 'Ready', json: schemas.health },
      { status: 503, description: 'Not ready', json: schemas.health },
    ],
    errors: [],
  },
  openapi: {
    method: 'GET',
    path: '/openapi.json',
    access: 'anyone',
    summary: 'This table, as OpenAPI 3.1',
    headers: ['If-None-Match'],
    answers: [
      { status: 200, description: 'The document', json: schemas.openapi, headers: ['ETag', 'Cache-Control'] },
      { status: 304, description: 'The validator still holds', headers: ['ETag'] },
    ],
    errors: [],
  },
} as const satisfies Record<string, Route>

export type RouteName = keyof typeof ROUTES

type ParameterNames<Path extends string> = Path extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParameterNames<Rest>
  : never

/** The parameters in the path of a route: `{uploadId, index}` for `putPart`. */
export type RouteParameters<Name extends RouteName> = {
  readonly [Parameter in ParameterNames<(typeof ROUTES)[Name]['path']>]: string | number
}

/** The path of a route with its parameters filled in (percent-encoded). */
export function routePath<Name extends RouteName>(name: Name, parameters: RouteParameters<Name>): string {
  const values: Readonly<Record<string, string | number>> = parameters
  return ROUTES[name].path.replaceAll(/\{(\w+)\}/g, (_, parameter: string) =>
    encodeURIComponent(String(values[parameter])),
  )
}
