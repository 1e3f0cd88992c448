import { formatContentDigest, HEADER, OCTET_STREAM } from '../../protocol/headers.ts'
import { routePath } from '../../protocol/paths.ts'
import { mediaReader, uploadBegunReader, uploadStatusReader } from '../../protocol/response-readers.ts'
import type { Media, UploadBegun, UploadStatus } from '../../protocol/response-readers.ts'
import { toBase64 } from '../bytes/base64url.ts'
import type { LeaseOptions } from '../api/options.ts'
import { jsonBody, makingHeaders } from './http.ts'
import type { Server } from './http.ts'

/** How media items of this send are created. */
export interface Making {
  readonly owner: string
  readonly lease: LeaseOptions
}

export interface StoreMediaRequest extends Making {
  readonly idempotencyKey: string
  readonly sealed: Uint8Array<ArrayBuffer>
  /** SHA-256 of `sealed`. */
  readonly sha256: Uint8Array
  readonly onSent?: (bytes: number) => void
}

/** Stores a complete media item in one request. */
export function storeMedia(server: Server, request: StoreMediaRequest, signal: AbortSignal): Promise<Media> {
  return server.json(
    {
      method: 'POST',
      path: routePath('storeMedia', {}),
      query: { ttlSeconds: request.lease.ttlSeconds, maxDownloads: request.lease.maxDownloads },
      headers: {
        ...makingHeaders(request.owner, request.idempotencyKey),
        ...bytesHeaders(request.sha256),
      },
      body: request.sealed,
      ...(request.onSent && { onSent: request.onSent }),
      signal,
    },
    mediaReader,
  )
}

export interface BeginRequest extends Making {
  readonly idempotencyKey: string
  /** `null` while it is not known. */
  readonly sealedBytes: number | null
  /** The requested size; the response has the actual one. */
  readonly partBytes: number | undefined
}

export function beginUpload(server: Server, request: BeginRequest, signal: AbortSignal): Promise<UploadBegun> {
  const { body, headers } = jsonBody({
    ...(request.sealedBytes !== null && { sizeBytes: request.sealedBytes }),
    ...(request.partBytes !== undefined && { partBytes: request.partBytes }),
    ...leaseFields(request.lease),
  })
  return server.json(
    {
      method: 'POST',
      path: routePath('beginUpload', {}),
      headers: { ...headers, ...makingHeaders(request.owner, request.idempotencyKey) },
      body,
      signal,
    },
    uploadBegunReader,
  )
}

export interface PartRequest {
  readonly uploadId: string
  readonly index: number
  readonly sealed: Uint8Array<ArrayBuffer>
  /** SHA-256 of `sealed`, which the server compares; `null`: it does not. */
  readonly sha256: Uint8Array | null
  readonly onSent?: (bytes: number) => void
}

export function putPart(server: Server, part: PartRequest, signal: AbortSignal): Promise<void> {
  return server.done({
    method: 'PUT',
    path: routePath('putPart', { uploadId: part.uploadId, index: part.index }),
    headers: bytesHeaders(part.sha256),
    body: part.sealed,
    ...(part.onSent && { onSent: part.onSent }),
    signal,
  })
}

export function readUploadStatus(server: Server, uploadId: string, signal: AbortSignal): Promise<UploadStatus> {
  return server.json({ method: 'GET', path: routePath('uploadStatus', { uploadId }), signal }, uploadStatusReader)
}

export function completeUpload(
  server: Server,
  upload: { readonly uploadId: string; readonly sealedBytes: number },
  signal: AbortSignal,
): Promise<Media> {
  const path = routePath('completeUpload', { uploadId: upload.uploadId })
  return server.json({ method: 'POST', path, ...jsonBody({ sizeBytes: upload.sealedBytes }), signal }, mediaReader)
}

export function leaseFields(lease: LeaseOptions): { ttlSeconds?: number; maxDownloads?: number } {
  return {
    ...(lease.ttlSeconds !== undefined && { ttlSeconds: lease.ttlSeconds }),
    ...(lease.maxDownloads !== undefined && { maxDownloads: lease.maxDownloads }),
  }
}

function bytesHeaders(sha256: Uint8Array | null): Record<string, string> {
  if (!sha256) return { 'content-type': OCTET_STREAM }
  return { 'content-type': OCTET_STREAM, [HEADER.contentDigest]: formatContentDigest(toBase64(sha256)) }
}
