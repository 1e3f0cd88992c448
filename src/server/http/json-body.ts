import type { z } from 'zod'

import { SealiftError } from '../../protocol/errors.ts'
import type { Caller } from '../access/caller.ts'
import { type Buffering, contentLength, contentType, readBody, takeMemory } from './buffered-body.ts'
import type { Exchange } from './exchange.ts'

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
  return checkShape(schema, parseJson(await readBody(deps, exchange, caller, body)))
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

/** What a JSON text may consist of. */
export interface JsonBounds {
  /** Containers within containers; 1: one object or array that holds no other. */
  readonly depth: number
  /** Elements of all arrays and keys of all objects together. */
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
 * Bounds the structure of a JSON text as its bytes arrive, before anything parses it: a parser makes an object of every
 * two bytes of `[{},{},…`. It does not check the grammar; a text that is no JSON is bounded all the same.
 */
export class JsonScan {
  readonly #bounds: JsonBounds
  #depth = 0
  #members = 0
  #inString = false
  #escaped = false
  /** The last byte that is no space opened a container. */
  #opened = false

  constructor(bounds: JsonBounds) {
    this.#bounds = bounds
  }

  /** False once there is too much; then it stays false. */
  accept(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length;) {
      if (this.#inString) at = this.#skipString(bytes, at)
      else this.#step(bytes[at++] ?? 0)
    }
    return this.#depth <= this.#bounds.depth && this.#members <= this.#bounds.members
  }

  /** @returns where the text goes on behind the string, or the end */
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
      // What was too deep stays so.
      if (this.#depth <= this.#bounds.depth) this.#depth -= 1
      return
    }
    if (this.#opened || byte === COMMA) this.#members += 1
    this.#opened = byte === OPEN_OBJECT || byte === OPEN_ARRAY
    if (this.#opened && this.#depth <= this.#bounds.depth) this.#depth += 1
    if (byte === QUOTE) this.#inString = true
  }
}

/** No route has more than a few. */
const MAX_PARAMETERS = 16

/** The query of a request; values that look like numbers are numbers, but `kind`. @throws invalid_request */
export function queryOf<Schema extends z.ZodType>({ query }: Exchange, schema: Schema): z.output<Schema> {
  const asked = new Map<string, unknown>()
  for (const [name, value] of new URLSearchParams(query)) {
    if (asked.has(name)) throw new SealiftError('invalid_request', 'A query parameter is doubled')
    if (asked.size === MAX_PARAMETERS) {
      throw new SealiftError('invalid_request', `Send at most ${MAX_PARAMETERS} query parameters`)
    }
    asked.set(name, name !== 'kind' && /^\d{1,15}$/.test(value) ? Number(value) : value)
  }
  return checkShape(schema, Object.fromEntries(asked))
}
