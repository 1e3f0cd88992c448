import type { z } from 'zod'

import { SealiftError } from '../../protocol/errors.ts'
import type { Caller } from '../access/caller.ts'
import { type BodyDeps, contentLength, contentType, readBody, takeMemory } from './request-body.ts'
import type { Exchange } from './exchange.ts'

/** Largest JSON body of a request without a manifest. */
export const JSON_BYTES = 64 * 1024
/** Only requests with a manifest have more than a few keys. */
const BOUNDS: JsonBounds = { depth: 8, members: 256 }

/**
 * Reads and checks a small JSON body. It takes memory and counts towards the byte rate, but needs no upload slot: a
 * client whose slots are all held by parts must still be able to complete the uploads of these parts.
 * @throws invalid_request, too_large, unsupported_media_type, stalled, rate_limited, unavailable
 */
export async function readJson<Schema extends z.ZodType>(
  bodies: BodyDeps,
  exchange: Exchange,
  caller: Caller,
  schema: Schema,
): Promise<z.output<Schema>> {
  if (contentType(exchange) !== 'application/json') {
    throw new SealiftError('unsupported_media_type', 'Send the request as application/json')
  }
  const mostBytes = contentLength(exchange) ?? JSON_BYTES
  if (mostBytes > JSON_BYTES) throw tooLarge(JSON_BYTES)
  using _memory = await takeMemory(bodies, exchange, caller, mostBytes)
  const body = {
    mostBytes,
    look: boundedBy(BOUNDS),
    tooLarge: () => tooLarge(mostBytes),
    signal: exchange.signal,
  }
  return checkShape(schema, parseJson(await readBody(bodies, exchange, caller, body)))
}

/** The returned function throws `invalid_request` at the first piece that exceeds the bounds. */
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

/** @throws invalid_request, which names the wrong keys but repeats no value */
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

/** Bounds of the structure of a JSON text. */
export interface JsonBounds {
  /** Nested containers; 1: one object or array that contains no other. */
  readonly depth: number
  /** Array elements and object keys in total. */
  readonly members: number
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const SPACE = 0x20

/**
 * Bounds the structure of a JSON text as its bytes arrive, before it is parsed: a parser creates an object for every
 * two bytes of `[{},{},…`. The grammar is not checked; malformed text is bounded too.
 */
export class JsonScan {
  readonly #bounds: JsonBounds
  #depth = 0
  #members = 0
  #inString = false
  #escaped = false
  /** The last byte other than white space opened a container. */
  #opened = false

  constructor(bounds: JsonBounds) {
    this.#bounds = bounds
  }

  /** False once a bound is exceeded, and from then on. */
  accept(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length;) {
      if (this.#inString) at = this.#skipString(bytes, at)
      else this.#step(bytes[at++] ?? 0)
    }
    return this.#depth <= this.#bounds.depth && this.#members <= this.#bounds.members
  }

  /** @returns the position after the string, or the end of `bytes` */
  #skipString(bytes: Uint8Array, from: number): number {
    let at = from
    for (; at < bytes.length; at++) {
      const byte = bytes[at]
      if (this.#escaped) this.#escaped = false
      else if (byte === BACKSLASH) this.#escaped = true
      else if (byte === QUOTE) {
        this.#inString = false
        return at + 1
      }
    }
    return at
  }

  #step(byte: number): void {
    if (byte === SPACE || (byte >= 0x09 && byte <= 0x0d)) return
    if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      this.#opened = false
      // A text that was too deep stays refused.
      if (this.#depth <= this.#bounds.depth) this.#depth -= 1
      return
    }
    if (this.#opened || byte === COMMA) this.#members += 1
    this.#opened = byte === OPEN_OBJECT || byte === OPEN_ARRAY
    if (this.#opened && this.#depth <= this.#bounds.depth) this.#depth += 1
    if (byte === QUOTE) this.#inString = true
  }
}

const MAX_PARAMETERS = 16

/** The query of a request. Values of digits become numbers, except `kind`. @throws invalid_request */
export function queryOf<Schema extends z.ZodType>({ query }: Exchange, schema: Schema): z.output<Schema> {
  const parameters = new Map<string, unknown>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (parameters.has(name)) throw new SealiftError('invalid_request', 'A query parameter occurs twice')
    if (parameters.size === MAX_PARAMETERS) {
      throw new SealiftError('invalid_request', `Send at most ${MAX_PARAMETERS} query parameters`)
    }
    parameters.set(name, name !== 'kind' && /^\d{1,15}$/.test(value) ? Number(value) : value)
  }
  return checkShape(schema, Object.fromEntries(parameters))
}
