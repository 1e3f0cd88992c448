/** A way between a client and an S3 service: media of parts of equal size, some of them on their way at once. */
import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'

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

/** The bytes of every part: nobody can compress them. */
export const partOf = (partBytes: number): Buffer => randomFill(partBytes, 17)

/** Calls `work` for 0 to `count` − 1, `parallel` at once. */
export async function inLanes(count: number, parallel: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index)
  }
  await Promise.all(Array.from({ length: parallel }, lane))
}

const agent = new Agent({ keepAlive: true })

export interface Exchange {
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Length of the answer's body, which is thrown away. */
  readonly expectedBytes?: number
}

/** One request on a connection that stays. @throws unless the answer is a 2xx of the expected length */
export async function exchange({ method, url, headers, body, expectedBytes }: Exchange): Promise<void> {
  const outgoing = request(url, { agent, method, headers: { 'content-length': body?.length ?? 0, ...headers } })
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>
  outgoing.end(body)
  const [answer] = await answered
  const { statusCode = 0 } = answer
  const receivedBytes = await drained(answer)
  if (statusCode >= 300) throw new Error(`${method} answered ${statusCode}`)
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
