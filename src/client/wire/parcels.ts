import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { HEADER, OCTET_STREAM } from '../../protocol/headers.ts'
import { routePath } from '../../protocol/paths.ts'
import { limitsReader, mediaReader, publishedParcelReader } from '../../protocol/response-readers.ts'
import type { Limits, Media, PublishedParcel } from '../../protocol/response-readers.ts'
import type { LeaseOptions } from '../api/options.ts'
import { toBase64Url } from '../bytes/base64url.ts'
import { jsonBody, makingHeaders, notUnderstood, readAll } from './http.ts'
import type { Server, ServerRequest } from './http.ts'
import { leaseFields } from './uploads.ts'

const MAX_MANIFEST_BYTES = 32 * 1024 * 1024

export interface PublishRequest extends SealedManifest {
  readonly owner: string
  readonly idempotencyKey: string
  readonly ttlSeconds: number | undefined
}

export function postParcel(server: Server, request: PublishRequest, signal: AbortSignal): Promise<PublishedParcel> {
  const { ttlSeconds } = request
  const headers = makingHeaders(request.owner, request.idempotencyKey)
  const target = { method: 'POST', path: routePath('publishParcel', {}), headers, signal } as const
  return sendManifest(server, { target, manifest: request, ttlSeconds })
}

export interface ReplaceRequest extends SealedManifest {
  readonly parcelId: string
  readonly owner: string
  readonly ifVersion: number
}

/**
 * Publishes the next version. When a response was lost, the retry is refused with `version_mismatch` although the
 * version is ours: then the parcel is read to compare.
 */
export async function putManifest(server: Server, request: ReplaceRequest, signal: AbortSignal): Promise<number> {
  const path = routePath('replaceManifest', { parcelId: request.parcelId })
  const headers = { [HEADER.owner]: request.owner, 'if-match': `"${request.ifVersion}"` }
  try {
    const target = { method: 'PUT', path, headers, signal } as const
    return (await sendManifest(server, { target, manifest: request, ttlSeconds: undefined })).version
  } catch (error) {
    if (!isSealiftError(error, 'version_mismatch')) throw error
    const standing = await fetchParcel(server, { parcelId: request.parcelId }, signal)
    if (!standing || !sameBytes(standing.sealed, request.sealed)) throw error
    return standing.version
  }
}

export interface SealedVersion {
  readonly version: number
  readonly sealed: Uint8Array<ArrayBuffer>
  /** Whether its media may be fetched from the store behind the server. */
  readonly direct: boolean
}

export interface ReadParcelRequest {
  readonly parcelId: string
  /** Asks only for a version after this one. */
  readonly after?: number
  readonly waitSeconds?: number
}

/** `null` when there is no version after `after`. */
export function fetchParcel(
  server: Server,
  { parcelId, after, waitSeconds = 0 }: ReadParcelRequest,
  signal: AbortSignal,
): Promise<SealedVersion | null> {
  return server.retrier.run(signal, async () => {
    const response = await server.attempt({
      method: 'GET',
      path: routePath('readParcel', { parcelId }),
      headers: {
        'if-none-match': after === undefined ? undefined : `"${after}"`,
        prefer: waitSeconds > 0 ? `wait=${waitSeconds}` : undefined,
      },
      signal,
    })
    const version = Number(response.header(HEADER.version))
    const sealed = await readAll(response, MAX_MANIFEST_BYTES)
    if (response.status === 304) return null
    if (!Number.isSafeInteger(version) || version < 1) throw notUnderstood()
    return { version, sealed, direct: response.header(HEADER.transfer) === 'direct' }
  })
}

export function deleteParcel(
  server: Server,
  parcel: { readonly parcelId: string; readonly owner: string | undefined },
  signal: AbortSignal,
): Promise<void> {
  const path = routePath('endParcel', { parcelId: parcel.parcelId })
  return server.done({ method: 'DELETE', path, headers: { [HEADER.owner]: parcel.owner }, signal })
}

/** Whether the server knows a parcel that has expired or was deleted. */
export async function hasParcelEnded(server: Server, parcelId: string, signal: AbortSignal): Promise<boolean> {
  try {
    await fetchParcel(server, { parcelId }, signal)
    return false
  } catch (error) {
    if (isSealiftError(error, 'gone')) return true
    if (isSealiftError(error, 'not_found', 'unauthorized', 'forbidden')) return false
    throw error
  }
}

export interface ForwardMediaRequest {
  readonly mediaId: string
  readonly owner: string
  readonly idempotencyKey: string
  readonly lease: LeaseOptions
}

export function forwardMedia(server: Server, request: ForwardMediaRequest, signal: AbortSignal): Promise<Media> {
  const { body, headers } = jsonBody(leaseFields(request.lease))
  const making = makingHeaders(request.owner, request.idempotencyKey)
  const path = routePath('forwardMedia', { mediaId: request.mediaId })
  return server.json({ method: 'POST', path, headers: { ...headers, ...making }, body, signal }, mediaReader)
}

export function endLease(
  server: Server,
  lease: { readonly mediaId: string; readonly owner: string },
  signal: AbortSignal,
): Promise<void> {
  const path = routePath('endLease', { mediaId: lease.mediaId })
  return server.done({ method: 'DELETE', path, headers: { [HEADER.owner]: lease.owner }, signal })
}

export async function readLimits(server: Server, signal: AbortSignal): Promise<Limits> {
  return server.json({ method: 'GET', path: routePath('limits', {}), signal }, limitsReader)
}

export function noServer(): SealiftError {
  return new SealiftError('invalid_request', 'Which server? Give its address as `server`')
}

function sameBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.byteLength === right.byteLength && left.every((byte, at) => byte === right[at])
}

interface SealedManifest {
  readonly sealed: Uint8Array<ArrayBuffer>
  /** Media whose leases end with the parcel. */
  readonly media: readonly string[]
}

interface ManifestRequest {
  readonly target: Pick<ServerRequest, 'method' | 'path' | 'headers' | 'signal'>
  readonly manifest: SealedManifest
  readonly ttlSeconds: number | undefined
}

/** Sends a manifest as raw octets, or as JSON to a server that does not take those. */
async function sendManifest(server: Server, request: ManifestRequest): Promise<PublishedParcel> {
  if (server.takesOnlyJson) return server.json(asJson(request), publishedParcelReader)
  try {
    return await server.json(asOctets(request), publishedParcelReader)
  } catch (error) {
    if (!isSealiftError(error, 'unsupported_media_type')) throw error
    server.noteJsonOnly()
    return server.json(asJson(request), publishedParcelReader)
  }
}

function asOctets({ target, manifest: { sealed, media }, ttlSeconds }: ManifestRequest): ServerRequest {
  const ids = new TextEncoder().encode(media.join(''))
  const body = new Uint8Array(ids.length + sealed.length)
  body.set(ids)
  body.set(sealed, ids.length)
  const headers = { ...target.headers, 'content-type': OCTET_STREAM, [HEADER.mediaCount]: String(media.length) }
  return { ...target, headers, body, query: { ttlSeconds } }
}

function asJson({ target, manifest: { sealed, media }, ttlSeconds }: ManifestRequest): ServerRequest {
  const { body, headers } = jsonBody({
    manifest: toBase64Url(sealed),
    media,
    ...(ttlSeconds !== undefined && { ttlSeconds }),
  })
  return { ...target, headers: { ...target.headers, ...headers }, body }
}
