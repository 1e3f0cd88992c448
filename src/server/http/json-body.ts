import type { z } from 'zod'

import { SealiftError } from '../../protocol/errors.ts'
import type { Caller } from '../access/caller.ts'
import { contentLength, contentType, readWhole, takeMemory, type Buffering } from './buffered-body.ts'
import type { Exchange } from './exchange.ts'
import { JsonScan, type JsonBounds } from './json-scan.ts'

/** Room for any request that carries no manifest. */
export const JSON_BYTES = 64 * 1024
/** No request but one with a manifest has more than a few keys. */
const BOUNDS: JsonBounds = { depth: 8, members: 256 }

/**
 * Reads and checks a small JSON body. It takes memory and counts in the byte rate, but takes no upload slot: a client
 * whose slots are all taken by parts has to be able to complete the uploads that these belong to.
 * @throws invalid_request, too_large, unsupported_media_type, stalled, rate_limited, unavailable
 */
export async function readJson<Schema extends z.ZodType>(
  deps: Buffering,
  exchange: Exchange,
  caller: Caller,
  schema: Schema,
): Promise<z.output<Schema>> {
  if (contentType(exchange) !== 'application/json') {
    throw new SealiftError('unsupported_media_type', 'Send the request as application/json')
  }
  const mostBytes = contentLength(exchange) ?? JSON_BYTES
  if (mostBytes > JSON_BYTES) throw tooLarge(JSON_BYTES)
  using _memory = await takeMemory(deps, exchange, caller, mostBytes)
  const body = {
    mostBytes,
    look: boundedBy(BOUNDS),
    tooLarge: () => tooLarge(mostBytes),
    signal: exchange.signal,
  }
  return checkShape(schema, parseJson(await readWhole(deps, exchange, caller, body)))
}

/** Refuses a body whose structure is out of bounds, as soon as that has arrived. Returned function: @throws invalid_request */
export function boundedBy(bounds: JsonBounds): (piece: Uint8Array) => void {
  const scan = new JsonScan(bounds)
  return piece => {
    if (scan.accept(piece)) return
    const { depth, members } = bounds
    throw new SealiftError(
      'invalid_request',
      `JSON may be ${depth} levels deep here, with ${members} keys and elements`,
    )
  }
}

/** @throws invalid_request */
export function parseJson(bytes: Uint8Array<ArrayBuffer>): unknown {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'))
  } catch {
    throw new SealiftError('invalid_request', 'The body is not JSON')
  }
}

/** @throws invalid_request, naming what is wrong but never repeating a value */
export function checkShape<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issues = result.error.issues.slice(0, 8).map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`)
  throw new SealiftError('invalid_request', `The request is not as documented: ${issues.join('; ')}`.slice(0, 1000))
}

export function tooLarge(value: number): SealiftError {
  return new SealiftError('too_large', `This request may have ${value} bytes`, {
    context: { limit: 'requestBytes', value },
  })
}
