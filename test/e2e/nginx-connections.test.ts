/**
 * The examples of deploy/ exempt nginx from `listen.maxConnectionsPerAddress`: nginx has to hold a limit in its
 * place.
 */
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { eventually } from '../support/eventually.ts'
import { startNginx, type Nginx } from '../support/nginx.ts'

/** As `limit_conn` says in each example. */
const LIMIT = 256

const EXAMPLES = ['nginx.conf.example', 'nginx-accelerated.conf.example', 'nginx-cluster.conf.example']

describe.each(EXAMPLES)('%s: requests of one address at once', example => {
  /** In place of Sealift: holds every request but the health check until `release`. */
  let upstream: Server
  let nginx: Nginx
  const held: ServerResponse[] = []

  beforeAll(async () => {
    upstream = createServer((req, res) => {
      if (req.url === '/healthz') res.end()
      else held.push(res)
    }).listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    const host = `127.0.0.1:${(upstream.address() as AddressInfo).port}`
    const nodes = [/10\.0\.0\.11:7325/, /10\.0\.0\.12:7325/].map(node => [node, host] as const)
    nginx = await startNginx({ example, upstream: `http://${host}`, replace: nodes })
  })

  afterAll(async () => {
    await nginx[Symbol.asyncDispose]()
    upstream.closeAllConnections()
    upstream.close()
  })

  test('more than the limit are refused with 429, and taken again when one has ended', async () => {
    const statuses = Array.from({ length: LIMIT }, () => statusOf(nginx.url))
    await eventually('the limit is used up', () => held.length === LIMIT)
    expect(await statusOf(nginx.url)).toBe(429)
    expect(held).toHaveLength(LIMIT)

    held[0]?.end()
    expect(await Promise.race(statuses)).toBe(200)
    const next = statusOf(nginx.url)
    await eventually('one more is taken', () => held.length === LIMIT + 1)
    for (const response of held) response.end()
    expect(await Promise.all([...statuses, next])).toEqual(Array.from({ length: LIMIT + 1 }, () => 200))
  })
})

/** Of a request on a connection of its own. */
async function statusOf(url: string): Promise<number | undefined> {
  const begun = request(`${url}/v1/limits`, { agent: false })
  begun.end()
  const [response] = (await once(begun, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}
