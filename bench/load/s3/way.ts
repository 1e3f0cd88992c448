/** A way between a client and an S3 service: media of parts of equal size, some of them in flight at the same time. */
import { once } from 'node:events'

import { undiciTransport } from '../../../src/client/node/transport/undici-transport.ts'
import type { S3Place } from '../../peers/engines.ts'
import { randomFill } from '../../random.ts'

export interface Way {
  /** Sends `parts` parts from memory. @returns the name of what was stored, once all of it is */
  upload(parts: number): Promise<string>
  /** Fetches the first `parts` parts of it, checks their lengths, and keeps nothing. */
  download(name: string, parts: number): Promise<void>
  remove(name: string, parts: number): Promise<void>
}

export interface WayOptions {
  readonly place: S3Place
  /** Of Sealift. */
  readonly origin: string
  readonly partBytes: number
  /** Parts at once. */
  readonly parallel: number
  readonly owner: string
}

/** The bytes of every part; they are incompressible. */
export const partOf = (partBytes: number): Buffer<ArrayBuffer> => randomFill(partBytes, 17)

/** Calls `work` for 0 to `count` − 1, `parallel` at once. */
export async function inLanes(count: number, parallel: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index)
  }
  await Promise.all(Array.from({ length: parallel }, lane))
}

// As the SDK moves bytes, so that what is measured is what its users get.
const transport = undiciTransport({ connections: 64 })
const NEVER = new AbortController().signal
const STALL_TIMEOUT_MS = 60_000

export interface Exchange {
  readonly method: 'GET' | 'PUT'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array<ArrayBuffer>
  /** Length of the response body, which is discarded. */
  readonly expectedBytes?: number
}

/** One request on a connection that stays. @throws unless the response is a 2xx of the expected length */
export async function exchange({ expectedBytes, headers = {}, ...request }: Exchange): Promise<void> {
  const response = await transport.request({
    ...request,
    headers,
    signal: NEVER,
    stallTimeoutMs: STALL_TIMEOUT_MS,
  })
  let receivedBytes = 0
  for await (const piece of response.body) receivedBytes += piece.byteLength
  if (response.status >= 300) throw new Error(`${request.method} got ${response.status}`)
  if (expectedBytes !== undefined && receivedBytes !== expectedBytes) {
    throw new Error(`${receivedBytes} bytes came instead of ${expectedBytes}`)
  }
}

/** Reads a body to its end. @returns its length */
export async function drained(body: NodeJS.ReadableStream): Promise<number> {
  let bytes = 0
  body.on('data', (piece: Buffer) => (bytes += piece.length))
  await once(body, 'end')
  return bytes
}
