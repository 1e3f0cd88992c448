/** The routes by which a server gives out addresses of its store. */
import { isSealiftError } from '../../protocol/errors.ts'
import { routePath } from '../../protocol/paths.ts'
import { directAddressReader, directReadReader } from '../../protocol/response-readers.ts'
import type { DirectAddress, DirectRead } from '../../protocol/response-readers.ts'
import { lingering } from '../concurrency/abort.ts'
import type { TransportResponse } from '../transport/transport.ts'
import { jsonBody, parseAnswer } from './http.ts'
import type { Server } from './http.ts'

/** The answer waits for a slot, and for as long as the bytes take at the client's byte rate. */
const ADDRESS_STALL_MS = 300_000
/** An address that is granted when nobody wants it any more holds a slot: waited for a little, to give it back. */
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
export async function askPartAddress(
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
    if (response.status !== 204) return parseAnswer(response, directAddressReader)
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

export interface AskAddresses {
  readonly mediaId: string
  /** Bytes `start` (inclusive) to `end` (exclusive). */
  readonly start: number
  readonly end: number
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Told of the answer's head before its body is read. */
  readonly onAnswer: (response: TransportResponse) => Promise<void>
}

/** One attempt. @throws not_direct, gone, downloads_exhausted, … */
export async function askReadAddresses(
  server: Server,
  { mediaId, start, end, headers: own, onAnswer }: AskAddresses,
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
    await onAnswer(response)
    return parseAnswer(response, directReadReader)
  })
}

/** Frees the slot of a transfer that is over. It does so by itself, later: one attempt, and never rejects. */
export async function endDirect(server: Server, transferId: string): Promise<void> {
  const path = routePath('endDirect', { transferId })
  const ended = server.attempt({ method: 'DELETE', path, signal: AbortSignal.timeout(END_MS) })
  await ended.then(response => response.discard()).catch(() => undefined)
}
