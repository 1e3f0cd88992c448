import { createHash } from 'node:crypto'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { createApi } from '../support/api.ts'
import { freePort } from '../support/engines/free-port.ts'
import { startNginx, type Nginx } from '../support/nginx.ts'
import { bytesFor } from '../support/random.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const TOKEN = 'a-token-of-a-client-behind-nginx'
const bytes = bytesFor('balanced', 300_000)

let server: TestServer
let nginx: Nginx

beforeAll(async () => {
  server = await startTestServer({
    listen: { trustedProxies: ['loopback'] },
    access: {
      openMode: 'off',
      tokens: [{ subject: 'someone', sha256: createHash('sha256').update(TOKEN).digest('hex') }],
    },
  })
  nginx = await startNginx({
    example: 'nginx-cluster.conf.example',
    upstream: server.url,
    replace: [
      [/10\.0\.0\.11:7325/, `127.0.0.1:${await freePort()}`],
      [/10\.0\.0\.12:7325/, new URL(server.url).host],
    ],
  })
})

afterAll(async () => {
  await nginx[Symbol.asyncDispose]()
  await server.stop()
})

test('while one node refuses connections, the other is given all requests, with their bodies', async () => {
  const api = createApi(nginx.url, { token: TOKEN })
  // Longer than the second for which nginx leaves out the node that refuses.
  const until = performance.now() + 3000
  let round = 0
  while (performance.now() < until) {
    const { mediaId } = await api.store(bytes)
    const response = await api.read(mediaId)
    expect([response.status, response.body.equals(bytes)]).toEqual([200, true])
    round += 1
  }
  expect(round).toBeGreaterThan(3)
  expect(await nginx.log()).toContain('Connection refused')
}, 30_000)
