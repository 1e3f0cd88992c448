/** The routes of presigned URLs. */
import { isSealiftError } from '../../protocol/errors.ts'
import { routePath } from '../../protocol/paths.ts'
import { directAddressReader, directReadReader } from '../../protocol/response-readers.ts'
import type { DirectAddress, DirectRead } from '../../protocol/response-readers.ts'
import { lingering } from '../concurrency/abort.ts'
import type { TransportResponse } from '../transport/transport.ts'
import { jsonBody, parseResponse } from './http.ts'
import type { Server } from './http.ts'

/** The server delays the response until there is a slot, and by the client's byte rate. */
const ADDRESS_STALL_MS = 300_000
/** A presigned URL holds a slot: the response to an aborted request is awaited, so that the slot can be released. */
const LINGER = { lingerMs: 500, isWorthWaiting: () => true }
const END_MS = 2000

export interface DirectPart {
  readonly uploadId: string
  readonly index: number
  readonly sizeBytes: number
  /** Base64. */
  readonly md5: string
}

/** One attempt. `null`: the part is durable already, with these bytes. @throws not_direct, part_conflict, … */
export async function requestPartUrl(
  server: Server,
  { uploadId, index, ...part }: DirectPart,
  signal: AbortSignal,
): Promise<DirectAddress | null> {
  return lingering(signal, LINGER, async inner => {
    const response = await server.attempt({
      method: 'POST',
      path: routePath('directPart', { uploadId, index }),
      ...jsonBody(part),
      signal: inner,
      stallTimeoutMs: ADDRESS_STALL_MS,
    })
    if (response.status !== 204) return parseResponse(response, directAddressReader)
    await response.discard()
    return null
  })
}

/** One attempt. False: the store does not have it, or has other bytes. @throws not_direct, part_conflict, … */
export async function confirmPart(
  server: Server,
  { uploadId, index, ...part }: DirectPart,
  signal: AbortSignal,
): Promise<boolean> {
  const path = routePath('confirmPart', { uploadId, index })
  try {
    await (await server.attempt({ method: 'POST', path, ...jsonBody(part), signal })).discard()
    return true
  } catch (error) {
    if (isSealiftError(error, 'parts_missing')) return false
    throw error
  }
}

export interface ReadUrlsRequest {
  readonly mediaId: string
  /** Bytes `start` (inclusive) to `end` (exclusive). */
  readonly start: number
  readonly end: number
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Called with the response's head before its body is read. */
  readonly onResponse: (response: TransportResponse) => Promise<void>
}

/** One attempt. @throws not_direct, gone, downloads_exhausted, … */
export async function requestReadUrls(
  server: Server,
  { mediaId, start, end, headers: own, onResponse }: ReadUrlsRequest,
  signal: AbortSignal,
): Promise<DirectRead> {
  const { body, headers } = jsonBody({ start, end })
  return lingering(signal, LINGER, async inner => {
    const response = await server.attempt({
      method: 'POST',
      path: routePath('directRead', { mediaId }),
      headers: { ...headers, ...own },
      body,
      signal: inner,
      stallTimeoutMs: ADDRESS_STALL_MS,
    })
    await onResponse(response)
    return parseResponse(response, directReadReader)
  })
}

/** Frees the slot of a transfer that is over. It does so by itself, later: one attempt, and never rejects. */
export async function endDirect(server: Server, transferId: string): Promise<void> {
  const path = routePath('endDirect', { transferId })
  const ended = server.attempt({ method: 'DELETE', path, signal: AbortSignal.timeout(END_MS) })
  await ended.then(response => response.discard()).catch(() => undefined)
}
