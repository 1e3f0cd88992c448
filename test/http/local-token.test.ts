/** The default server: open to the user that runs it, and to no one else who reaches its port. */
import { randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { ROUTES, type RouteName } from '../../src/protocol/routes.ts'
import { createApi, OCTETS, type Api } from '../support/api.ts'
import { startBalancer } from '../support/balancer.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

let server: TestServer
let user: Api
let stranger: Api
beforeAll(async () => {
  server = await startTestServer()
  user = createApi(server.url)
  stranger = createApi(server.url, { token: null })
})
afterAll(() => server.stop())

const ID = 'a'.repeat(26)
const PARAMETERS = { uploadId: ID, mediaId: ID, parcelId: ID, transferId: ID, index: 0 }
const OF_CLIENTS = (Object.keys(ROUTES) as RouteName[]).filter(name =>
  (['client', 'uploader'] as string[]).includes(ROUTES[name].access),
)

test('there are routes that take a client', () => {
  expect(OF_CLIENTS).toEqual(
    expect.arrayContaining(['storeMedia', 'beginUpload', 'putPart', 'publishParcel', 'limits']),
  )
})

describe.each(OF_CLIENTS)('threat 51: %s', name => {
  test('takes no bare request of this machine', async () => {
    expect(await stranger.call(name, PARAMETERS)).toMatchObject({ status: 401, code: 'unauthorized' })
  })

  test('takes the user that runs the server', async () => {
    expect((await user.call(name, PARAMETERS)).status).not.toBe(401)
  })
})

const store = (api: Api, headers: Record<string, string> = {}) =>
  api.call('storeMedia', {}, { body: randomBytes(9), headers: { ...OCTETS, ...headers } })

test('threat 51: a TCP tunnel lets in its user alone, since every peer looks local behind it', async () => {
  await using relay = await startBalancer(() => [server.url])
  expect((await store(createApi(relay.url, { token: null }))).status).toBe(401)
  expect((await store(createApi(relay.url, { token: 'a-token-that-was-guessed' }))).status).toBe(401)
  expect((await store(createApi(relay.url))).status).toBe(201)
})

test.each([
  ['with its own origin', { origin: 'https://evil.example' }],
  ['without an origin', {}],
  ['under a name that it made resolve to this machine', { host: 'evil.example' }],
  ['served by another server of this machine', { origin: 'http://localhost:3000' }],
])('a web page %s stores nothing', async (_, headers) => {
  expect((await store(stranger, headers)).status).toBe(401)
})

test('the token does not travel: through a proxy, or from the page of another site, it opens nothing', async () => {
  for (const headers of [
    { 'x-forwarded-for': '127.0.0.1' },
    { via: '1.1 proxy' },
    { origin: 'https://evil.example' },
    { host: 'media.example' },
  ]) {
    expect((await store(user, headers)).status, JSON.stringify(headers)).toBe(401)
  }
})

test('reading by link goes on without it, and with it', async () => {
  const { mediaId } = await user.store(Buffer.from('sealed'))
  expect((await stranger.read(mediaId)).body.toString()).toBe('sealed')
  expect((await user.read(mediaId)).body.toString()).toBe('sealed')
})

test('closing the mode takes the right back, opening it again gives it back', async () => {
  await using own = await startTestServer()
  const api = createApi(own.url)
  expect((await store(api)).status).toBe(201)
  await own.reconfigure({ access: { openMode: 'off' } })
  expect((await store(api)).status).toBe(401)
  await own.reconfigure({ access: { openMode: 'loopback' } })
  expect((await store(api)).status).toBe(201)
})
