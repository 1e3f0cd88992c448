import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { createApi, type Api } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const BURST = 5
const CHECKS = 200

let server: TestServer
let api: Api
let probes = 0

beforeAll(async () => {
  server = await startTestServer(
    { access: { openMode: 'off' }, tiers: { default: { requestsPerSecond: 0.001, requestBurst: BURST } } },
    {
      wrap: stores => {
        const probe = stores.records.probe.bind(stores.records)
        stores.records.probe = () => {
          probes += 1
          return probe()
        }
        return stores
      },
    },
  )
  api = createApi(server.url)
})
afterAll(() => server.stop())

describe('what anyone may ask', () => {
  test('the contract has a strong validator, and is the same each time and on every node', async () => {
    const first = await api.call('openapi', {})
    expect(first).toMatchObject({ status: 200, headers: { 'cache-control': 'private, no-cache' } })
    const { etag = '' } = first.headers
    expect(etag).toMatch(/^"[\w-]{43}"$/)
    const second = await api.call('openapi', {})
    expect(second.headers['etag']).toBe(etag)
    expect(second.body.equals(first.body)).toBe(true)
    for (const known of [etag, `"other", ${etag}`]) {
      const response = await api.call('openapi', {}, { headers: { 'if-none-match': known } })
      expect(response).toMatchObject({ status: 304, headers: { etag } })
      expect(response.body).toHaveLength(0)
    }
    expect((await api.call('openapi', {}, { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  })

  test('the contract is inside the request rate of the address; health checks are beside it', async () => {
    // The test above has used the burst.
    expect(await api.call('openapi', {})).toMatchObject({ status: 429, code: 'rate_limited' })
    expect(await api.call('mediaInfo', { mediaId: 'a'.repeat(26) })).toMatchObject({ status: 429 })
    for (let check = 0; check < CHECKS; check += 1) {
      expect((await api.call('health', {})).status).toBe(200)
    }
  })

  test('many who ask whether it is ready share one look at the stores', async () => {
    const before = probes
    const beganAt = performance.now()
    const responses = await Promise.all(Array.from({ length: CHECKS }, () => api.call('ready', {})))
    expect(responses.map(({ status }) => status)).toEqual(responses.map(() => 200))
    const looksEach = 1 + Math.ceil((performance.now() - beganAt) / 2000)
    expect(probes - before).toBeLessThanOrEqual(looksEach * server.nodes)
  })

  test('a wrong token is refused for the contract, as everywhere, and not looked at by a health check', async () => {
    const stranger = createApi(server.url, { token: 'not-a-token-of-this-server-at-all' })
    expect((await stranger.call('openapi', {})).status).toBe(401)
    expect((await stranger.call('health', {})).status).toBe(200)
  })
})
