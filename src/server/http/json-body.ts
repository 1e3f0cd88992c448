import type { z } from 'zod'

import { SealiftError } from '../../protocol/errors.ts'
import { BodyReader } from './body-reader.ts'
import type { Exchange } from './exchange.ts'
import type { Pace, StallWatch } from './stall-watch.ts'

/** Room for any request that carries no manifest. */
export const JSON_BYTES = 64 * 1024
const MAX_DEPTH = 8

export interface JsonBodyOptions {
  readonly watch: StallWatch
  readonly pace: Pace
  readonly limitBytes: number
}

/** Reads and checks a JSON body. @throws invalid_request, too_large, unsupported_media_type, stalled */
export async function readJson<Schema extends z.ZodType>(
  exchange: Exchange,
  schema: Schema,
  options: JsonBodyOptions,
): Promise<z.output<Schema>> {
  checkHeaders(exchange, options.limitBytes)
  const value = parseJson(await exchange.patiently(readText(exchange, options)))
  if (isTooDeep(value, MAX_DEPTH)) throw new SealiftError('invalid_request', `JSON may be ${MAX_DEPTH} levels deep`)
  return checkShape(schema, value)
}

/** @throws invalid_request, naming what is wrong but never repeating a value */
export function checkShape<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issues = result.error.issues.slice(0, 8).map(({ path, message }) => `${path.join('.') || 'body'}: ${message}`)
  throw new SealiftError('invalid_request', `The request is not as documented: ${issues.join('; ')}`.slice(0, 1000))
}

function checkHeaders({ req }: Exchange, limitBytes: number): void {
  const type = req.headers['content-type']?.split(';')[0]?.trim().toLowerCase()
  if (type !== 'application/json') {
    throw new SealiftError('unsupported_media_type', 'Send the request as application/json')
  }
  if (Number(req.headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes)
}

function tooLarge(value: number): SealiftError {
  return new SealiftError('too_large', `This request may have ${value} bytes`, {
    context: { limit: 'requestBytes', value },
  })
}

async function readText(exchange: Exchange, { watch, pace, limitBytes }: JsonBodyOptions): Promise<string> {
  const reader = new BodyReader({ req: exchange.req, watch, pace, begin: () => exchange.sendContinue() })
  const chunks: Uint8Array[] = []
  for await (const chunk of reader) {
    exchange.receivedBytes = reader.receivedBytes
    if (reader.receivedBytes > limitBytes) throw tooLarge(limitBytes)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new SealiftError('invalid_request', 'The body is not JSON')
  }
}

function isTooDeep(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some(inner => isTooDeep(inner, levels - 1))
}
