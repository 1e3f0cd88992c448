/**
 * Plain node:http requests whose bodies come from one buffer in memory, so that the client costs as little as it can.
 */
import { once } from 'node:events'
import { Agent, type IncomingHttpHeaders, request } from 'node:http'

import { randomFill } from '../random.ts'

const WRITE_BYTES = 1024 * 1024
const block = randomFill(WRITE_BYTES, 7)
const agent = new Agent({ keepAlive: true, maxSockets: 1024 })

export interface ReceivedResponse {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Ask {
  readonly method: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** This many bytes of the same incompressible block, over and over. */
  readonly bodyBytes?: number
  readonly json?: unknown
  readonly body?: Uint8Array
}

/** Sends one request and reads its complete response. Rejects unless the response is a 2xx. */
export async function ask(what: Ask): Promise<ReceivedResponse> {
  const whole = what.json === undefined ? what.body : Buffer.from(JSON.stringify(what.json))
  const outgoing = request(what.url, {
    agent,
    method: what.method,
    headers: {
      ...what.headers,
      ...(what.json === undefined ? {} : { 'content-type': 'application/json' }),
      'content-length': whole?.length ?? what.bodyBytes ?? 0,
    },
  })
  const response = once(outgoing, 'response')
  if (whole) outgoing.write(whole)
  else await writeBody(outgoing, what.bodyBytes ?? 0)
  outgoing.end()
  const [incoming] = await response
  let body = ''
  for await (const chunk of incoming) body += String(chunk)
  if (incoming.statusCode >= 300) throw new Error(`${what.method}: status ${incoming.statusCode}: ${body}`)
  return { status: incoming.statusCode, headers: incoming.headers, body }
}

async function writeBody(outgoing: NodeJS.WritableStream, bytes: number): Promise<void> {
  for (let left = bytes; left > 0; left -= WRITE_BYTES) {
    if (!outgoing.write(left < WRITE_BYTES ? block.subarray(0, left) : block)) await once(outgoing, 'drain')
  }
}

/** Times `work` and prints what it made and how long it took, as the harness reads it. */
export async function timed(work: () => Promise<string>): Promise<void> {
  const began = process.hrtime.bigint()
  const id = await work()
  console.log(`id=${id} seconds=${Number(process.hrtime.bigint() - began) / 1e9}`)
  agent.destroy()
}
