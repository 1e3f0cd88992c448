import { createHash, createHmac, randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { routePath, type RouteName } from '../../src/protocol/paths.ts'
import { ROUTES } from '../../src/protocol/routes.ts'
import { createApi, newOwner, OCTETS, type Api } from '../support/api.ts'
import { RawConnection } from '../support/raw-http.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const ALICE = 'alice-token-that-is-long-enough-00'
const BOB = 'bob-token-that-is-long-enough-0000'
const SECRET = 'a-shared-secret-of-at-least-32-bytes!'
const hash = (token: string) => createHash('sha256').update(token).digest('hex')

const TOKENS = {
  openMode: 'off',
  tokens: [
    { subject: 'alice', sha256: hash(ALICE) },
    { subject: 'bob', sha256: hash(BOB) },
  ],
  jwt: { algorithms: ['HS256'], secret: SECRET },
}

function jwt(claims: object, { algorithm = 'HS256', secret = SECRET } = {}): string {
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const signed = `${encode({ alg: algorithm, typ: 'JWT' })}.${encode(claims)}`
  const signature = algorithm === 'none' ? '' : createHmac('sha256', secret).update(signed).digest('base64url')
  return `${signed}.${signature}`
}

const later = Math.floor(Date.now() / 1000) + 600
const BAD_CREDENTIALS: readonly (readonly [string, Record<string, string>])[] = [
  ['an unknown token', { authorization: `Bearer ${'x'.repeat(34)}` }],
  ['an empty token', { authorization: 'Bearer ' }],
  ['a token without its scheme', { authorization: ALICE }],
  ['another scheme', { authorization: `Basic ${Buffer.from(`alice:${ALICE}`).toString('base64')}` }],
  ['a token cut short', { authorization: `Bearer ${ALICE.slice(0, -1)}` }],
  ['the hash of a token', { authorization: `Bearer ${hash(ALICE)}` }],
  ['two tokens', { authorization: `Bearer ${ALICE}, Bearer ${BOB}` }],
  [
    'a signed token without a signature',
    { authorization: `Bearer ${jwt({ sub: 'alice', exp: later }, { algorithm: 'none' })}` },
  ],
  [
    'a signed token of another secret',
    { authorization: `Bearer ${jwt({ sub: 'alice', exp: later }, { secret: 'y'.repeat(32) })}` },
  ],
  ['a signed token that has expired', { authorization: `Bearer ${jwt({ sub: 'alice', exp: later - 1200 })}` }],
  ['a signed token without a subject', { authorization: `Bearer ${jwt({ exp: later })}` }],
]

const NAMES = (Object.keys(ROUTES) as RouteName[]).filter(name => ROUTES[name].access !== 'public')
const PARAMETERS = {
  uploadId: 'a'.repeat(26),
  mediaId: 'a'.repeat(26),
  parcelId: 'a'.repeat(26),
  transferId: 'a'.repeat(26),
  index: 0,
}

let server: TestServer
let alice: Api
let bob: Api
let nobody: Api

beforeAll(async () => {
  server = await startTestServer({ access: TOKENS })
  alice = createApi(server.url, { token: ALICE })
  bob = createApi(server.url, { token: BOB })
  nobody = createApi(server.url, { token: null })
})
afterAll(() => server.stop())

async function statusOf(name: RouteName, headers: Record<string, string>): Promise<number> {
  const lines = Object.entries({ host: 'test', 'content-length': '0', ...headers }).map(
    ([key, value]) => `${key}: ${value}`,
  )
  await using connection = await RawConnection.open(server.url, { bare: true })
  connection.head(`${ROUTES[name].method} ${routePath(name, PARAMETERS as never)} HTTP/1.1`, ...lines)
  return (await connection.response({ head: ROUTES[name].method === 'HEAD' }))?.status ?? 0
}

/**
 * Readers' routes that response an id that names nothing in another way: no direct transfer here, and one is
 * idempotent.
 */
const OF_READERS: Partial<Record<RouteName, number>> = { directRead: 409, endDirect: 204 }

// Before any wrong token has made this address wait.
describe('threat 64: every route without a credential', () => {
  test.each(NAMES)('%s refuses, unless an unguessable id is the right, or none is needed', async name => {
    const { access } = ROUTES[name]
    const expected = access === 'reader' ? (OF_READERS[name] ?? 404) : access === 'anyone' ? 200 : 401
    expect(await statusOf(name, {})).toBe(expected)
  })
})

describe('threat 64: every route × every bad credential', () => {
  describe.each(NAMES)('%s', name => {
    test.each(BAD_CREDENTIALS)('refuses %s', async (_, headers) => {
      expect([401, 429]).toContain(await statusOf(name, headers))
    })

    test('takes a good one', async () => {
      expect([401, 403, 429]).not.toContain(await statusOf(name, { authorization: `Bearer ${ALICE}` }))
      const signed = jwt({ sub: 'carol', exp: later })
      expect([401, 403, 429]).not.toContain(await statusOf(name, { authorization: `Bearer ${signed}` }))
    })
  })

  test('where downloads take a token too, no route is open without one', async () => {
    await using strict = await startTestServer({ access: { ...TOKENS, downloads: 'token' } })
    const anonymous = createApi(strict.url, { token: null })
    for (const name of ['readMedia', 'mediaInfo', 'readParcel', 'headMedia'] as const) {
      expect((await anonymous.call(name, PARAMETERS)).status).toBe(401)
    }
    const { mediaId } = await createApi(strict.url, { token: ALICE }).store(Buffer.from('abc'))
    const read = await createApi(strict.url, { token: BOB }).read(mediaId)
    expect(read).toMatchObject({ status: 200, headers: { 'cache-control': 'private, no-store' } })
  })
})

describe('what a client made', () => {
  test('threat 62: cannot be told from what does not exist, by another', async () => {
    const { uploadId } = await alice.begin()
    for (const name of ['uploadStatus', 'abortUpload'] as const) {
      expect(await bob.call(name, { uploadId })).toMatchObject({ status: 404, code: 'not_found' })
    }
    expect(await bob.putPart(uploadId, 0, randomBytes(4))).toMatchObject({ status: 404, code: 'not_found' })
    expect(await bob.complete(uploadId, 4)).toMatchObject({ status: 404, code: 'not_found' })
    const absent = await bob.call('uploadStatus', { uploadId: 'b'.repeat(26) })
    const hidden = await bob.call('uploadStatus', { uploadId })
    expect(strip(hidden.json)).toEqual(strip(absent.json))
    const { mediaId } = await alice.store(randomBytes(10))
    const foreign = await bob.call('endLease', { mediaId })
    expect(strip(foreign.json)).toEqual(strip((await bob.call('endLease', { mediaId: 'b'.repeat(26) })).json))
    expect((await alice.call('endLease', { mediaId })).status).toBe(204)
  })

  test('may be read by whoever knows its id', async () => {
    const { mediaId } = await alice.store(randomBytes(10))
    expect((await nobody.read(mediaId)).status).toBe(200)
  })

  test('may be ended with its owner secret, without a token', async () => {
    const owner = newOwner()
    const { mediaId } = await createApi(server.url, { token: ALICE, owner }).store(randomBytes(10))
    expect((await createApi(server.url, { owner: newOwner() }).call('endLease', { mediaId })).status).toBe(404)
    expect((await createApi(server.url, { owner }).call('endLease', { mediaId })).status).toBe(204)
  })
})

function strip(problem: unknown): unknown {
  return { ...(problem as object), requestId: '' }
}

describe('open mode', () => {
  test('on loopback takes a request of this machine, but none that came through a proxy', async () => {
    await using open = await startTestServer()
    const api = createApi(open.url)
    expect((await api.call('limits', {})).status).toBe(200)
    for (const header of ['x-forwarded-for', 'forwarded', 'via', 'x-real-ip']) {
      expect((await api.call('limits', {}, { headers: { [header]: '203.0.113.7' } })).status).toBe(401)
    }
  })

  test('threat 51: off, takes nothing new from a stranger', async () => {
    expect((await nobody.call('storeMedia', {}, { body: randomBytes(9), headers: OCTETS })).status).toBe(401)
    expect((await nobody.call('beginUpload', {}, { json: {} })).status).toBe(401)
  })
})

describe('threat 43: X-Forwarded-For', () => {
  test('is believed only from a trusted proxy', async () => {
    const limits = { requestsPerSecond: 0.01, requestBurst: 2 }
    const access = { openMode: 'everywhere' }
    await using direct = await startTestServer({ access, tiers: { default: limits } })
    await using proxied = await startTestServer({
      access,
      tiers: { default: limits },
      listen: { trustedProxies: ['loopback'] },
    })
    const ask = (url: string, address: string) =>
      createApi(url).call('limits', {}, { headers: { 'x-forwarded-for': address } })
    const forged = await Promise.all(['1.1.1.1', '2.2.2.2', '3.3.3.3', '4.4.4.4'].map(it => ask(direct.url, it)))
    expect(forged.filter(({ status }) => status === 429)).toHaveLength(2)
    const real = await Promise.all(['1.1.1.1', '2.2.2.2', '3.3.3.3', '4.4.4.4'].map(it => ask(proxied.url, it)))
    expect(real.filter(({ status }) => status === 429)).toHaveLength(0)
  })
})

describe('devices', () => {
  test('of one account are limited', async () => {
    await using strict = await startTestServer({ access: TOKENS, tiers: { default: { devices: 2 } } })
    const from = (device: string) => createApi(strict.url, { token: jwt({ sub: 'dora', device, exp: later }) })
    expect((await from('one').call('limits', {})).status).toBe(200)
    expect((await from('two').call('limits', {})).status).toBe(200)
    expect(await from('three').call('limits', {})).toMatchObject({ status: 403, code: 'too_many_devices' })
    expect((await from('one').call('limits', {})).json).toMatchObject({ usage: { devices: 2 } })
  })
})

test('guessing tokens is slowed down', async () => {
  await using strict = await startTestServer({ access: TOKENS })
  const guess = () => createApi(strict.url, { token: randomBytes(20).toString('hex') }).call('limits', {})
  const responses = await Promise.all(Array.from({ length: 230 }, guess))
  expect(responses.some(({ code }) => code === 'rate_limited')).toBe(true)
  expect((await createApi(strict.url, { token: ALICE }).call('limits', {})).status).toBe(200)
})
