import { generateKeyPairSync } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'

import { exportJWK, SignJWT, UnsecuredJWT } from 'jose'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'

import { createAuthenticator } from '../../../src/server/access/authenticator.ts'
import { createProxyTrust } from '../../../src/server/access/client-address.ts'
import { DeviceGate } from '../../../src/server/access/devices.ts'
import { createIdentifier } from '../../../src/server/http/gate.ts'
import { WrongTokens } from '../../../src/server/limits/wrong-tokens.ts'
import { createLiveConfig } from '../../../src/server/config/live-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'
import type { RawMap } from '../../../src/server/config/raw.ts'
import { MemoryRateLimiter } from '../../../src/server/limits/memory/rate-limiter.ts'

const SECRET = 'vU3m1cQ8xPz0TtK9sWq2LrYb6NhJd4Ef'
const NOW_SECONDS = 1_900_000_000
const ed = generateKeyPairSync('ed25519')
const otherEd = generateKeyPairSync('ed25519')
const pem = ed.publicKey.export({ type: 'spki', format: 'pem' }).toString()

interface TokenParts {
  readonly claims?: Record<string, unknown>
  readonly algorithm?: string
  readonly key?: Parameters<SignJWT['sign']>[0]
  readonly kid?: string
  readonly expiresIn?: number | null
}

function sign({ claims = {}, algorithm = 'EdDSA', key = ed.privateKey, kid, expiresIn = 60 }: TokenParts = {}) {
  const jwt = new SignJWT({ sub: 'alice', ...claims }).setProtectedHeader({ alg: algorithm, ...(kid ? { kid } : {}) })
  if (expiresIn !== null) jwt.setExpirationTime(NOW_SECONDS + expiresIn)
  return jwt.sign(key)
}

function world(jwt: RawMap, others: RawMap = {}) {
  const clock = { ms: NOW_SECONDS * 1000 }
  const config = (section: RawMap | null) =>
    parseConfig({ tiers: { pro: {} }, access: { openMode: 'off', jwt: section, ...others } })
  const live = createLiveConfig(config(jwt))
  const authenticator = createAuthenticator({ live, clock: () => clock.ms, proxies: createProxyTrust(live) })
  const ask = async (token: string) =>
    authenticator.authenticate({ peerAddress: '203.0.113.5', headers: { authorization: `Bearer ${token}` } })
  return { clock, live, ask, reload: (section: RawMap | null) => live.apply(config(section)) }
}

const refused = { code: 'unauthorized' }

describe('claims', () => {
  test('subject, tier and device', async () => {
    const { ask } = world({ publicKey: pem })
    expect(await ask(await sign({ claims: { tier: 'pro', device: 'phone' } }))).toMatchObject({
      clientId: 'subject:alice',
      anonymous: false,
      tier: 'pro',
      device: 'phone',
    })
    expect(await ask(await sign())).toMatchObject({ tier: 'default', device: null })
  })

  test('the claims may have other names', async () => {
    const { ask } = world({ publicKey: pem, tierClaim: 'plan', deviceClaim: 'dev' })
    expect(await ask(await sign({ claims: { plan: 'pro', dev: 'd1', tier: 'x' } }))).toMatchObject({
      tier: 'pro',
      device: 'd1',
    })
  })

  test.each(['gold', 'constructor', '__proto__', 7, ['pro'], ''])(
    'a tier that is none (%j) is the default one',
    async tier => {
      const { ask } = world({ publicKey: pem })
      expect(await ask(await sign({ claims: { tier } }))).toMatchObject({ tier: 'default' })
    },
  )

  test.each([undefined, '', 7, 'line\nbreak', 'x'.repeat(201)])('the subject %j is refused', async sub => {
    const { ask } = world({ publicKey: pem })
    await expect(ask(await sign({ claims: { sub } }))).rejects.toMatchObject(refused)
  })

  test('issuer and audience, when they are asked for', async () => {
    const { ask } = world({ publicKey: pem, issuer: 'https://id', audience: 'sealift' })
    expect(await ask(await sign({ claims: { iss: 'https://id', aud: ['other', 'sealift'] } }))).toBeDefined()
    await expect(ask(await sign({ claims: { iss: 'https://evil', aud: 'sealift' } }))).rejects.toMatchObject(refused)
    await expect(ask(await sign({ claims: { iss: 'https://id', aud: 'other' } }))).rejects.toMatchObject(refused)
    await expect(ask(await sign())).rejects.toMatchObject(refused)
  })
})

describe('time', () => {
  test('expiry is needed and holds, with the leeway', async () => {
    const { clock, ask } = world({ publicKey: pem, leeway: '5s' })
    const token = await sign({ expiresIn: 60 })
    clock.ms += 64_000
    expect(await ask(token)).toBeDefined()
    clock.ms += 2000
    await expect(ask(token)).rejects.toMatchObject(refused)
    await expect(ask(await sign({ expiresIn: null }))).rejects.toMatchObject(refused)
  })

  test('a token that is remembered expires all the same', async () => {
    const { clock, ask } = world({ publicKey: pem, leeway: '0s' })
    const token = await sign({ expiresIn: 10 })
    await ask(token)
    clock.ms += 9000
    await ask(token)
    clock.ms += 2000
    await expect(ask(token)).rejects.toMatchObject(refused)
  })

  test('not before its time', async () => {
    const { clock, ask } = world({ publicKey: pem })
    const token = await sign({ claims: { nbf: NOW_SECONDS + 30 } })
    await expect(ask(token)).rejects.toMatchObject(refused)
    clock.ms += 30_000
    expect(await ask(token)).toBeDefined()
  })
})

describe('signatures', () => {
  test('another key, another algorithm, none at all', async () => {
    const { ask } = world({ publicKey: pem })
    await expect(ask(await sign({ key: otherEd.privateKey }))).rejects.toMatchObject(refused)
    const unsigned = new UnsecuredJWT({ sub: 'alice' }).setExpirationTime(NOW_SECONDS + 60).encode()
    await expect(ask(unsigned)).rejects.toMatchObject(refused)
    const [header, , signature] = (await sign()).split('.')
    const forged = Buffer.from(JSON.stringify({ sub: 'root', exp: NOW_SECONDS + 60 })).toString('base64url')
    await expect(ask(`${header}.${forged}.${signature}`)).rejects.toMatchObject(refused)
  })

  test('the public key is no shared secret', async () => {
    const { ask } = world({ publicKey: pem })
    const token = await sign({ algorithm: 'HS256', key: new TextEncoder().encode(pem) })
    await expect(ask(token)).rejects.toMatchObject(refused)
  })

  test('a shared secret', async () => {
    const { ask } = world({ algorithms: ['HS256'], secret: SECRET })
    const good = await sign({ algorithm: 'HS256', key: new TextEncoder().encode(SECRET) })
    expect(await ask(good)).toMatchObject({ clientId: 'subject:alice' })
    const wrong = await sign({ algorithm: 'HS256', key: new TextEncoder().encode(`${SECRET}!`) })
    await expect(ask(wrong)).rejects.toMatchObject(refused)
    const longer = await sign({ algorithm: 'HS512', key: new TextEncoder().encode(SECRET.repeat(2)) })
    await expect(ask(longer)).rejects.toMatchObject(refused)
  })

  test('a key set in the configuration', async () => {
    const jwk = { ...(await exportJWK(ed.publicKey)), kid: 'one', alg: 'EdDSA' }
    const { ask } = world({ jwks: { keys: [jwk] } })
    expect(await ask(await sign({ kid: 'one' }))).toBeDefined()
    await expect(ask(await sign({ kid: 'two' }))).rejects.toMatchObject(refused)
  })
})

describe('a key set that is fetched', () => {
  let server: Server | null = null
  afterEach(() => {
    server?.close()
    server?.closeAllConnections()
  })

  async function serveKeys(response: () => { status: number; body: string } | null) {
    let asked = 0
    server = createServer((_, res) => {
      asked += 1
      const told = response()
      if (told) res.writeHead(told.status, { 'content-type': 'application/json' }).end(told.body)
    })
    await new Promise<void>(resolve => void server?.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as AddressInfo
    return { url: `http://127.0.0.1:${port}/keys`, asked: () => asked }
  }

  test('is fetched once for many tokens', async () => {
    const jwk = { ...(await exportJWK(ed.publicKey)), kid: 'one', alg: 'EdDSA' }
    const keys = await serveKeys(() => ({ status: 200, body: JSON.stringify({ keys: [jwk] }) }))
    const { ask } = world({ jwksUrl: keys.url })
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, i) => sign({ kid: 'one', claims: { sub: `s${i}` } })),
    )
    await Promise.all(tokens.map(token => ask(token)))
    await expect(ask(await sign({ kid: 'unknown' }))).rejects.toMatchObject(refused)
    expect(keys.asked()).toBe(1)
  })

  test.each([
    ['fails', () => ({ status: 500, body: 'no' })],
    ['returns nonsense', () => ({ status: 200, body: '<html>' })],
    ['has no keys', () => ({ status: 200, body: '{}' })],
    ['never responds', () => null],
  ])('when it %s, no caller is let in, and no token is called wrong', async (_, response) => {
    const keys = await serveKeys(response)
    const { ask } = world({ jwksUrl: keys.url, jwksTimeout: '100ms' })
    await expect(ask(await sign({ kid: 'one' }))).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe('threat 50: forged tokens while the key set cannot be had', () => {
  test('do not each ask for it', async () => {
    let asked = 0
    const failing = createServer((_, res) => {
      asked += 1
      res.writeHead(500).end()
    })
    await new Promise<void>(resolve => void failing.listen(0, '127.0.0.1', resolve))
    const { port } = failing.address() as AddressInfo
    const { ask } = world({ jwksUrl: `http://127.0.0.1:${port}/keys` })
    const beganAt = performance.now()
    for (let index = 0; index < 50; index += 1) {
      const forged = await sign({ kid: `made-up-${index}` })
      await expect(ask(forged)).rejects.toMatchObject({ code: 'unavailable' })
    }
    // One a second.
    expect(asked).toBeLessThanOrEqual(1 + (performance.now() - beganAt) / 1000)
    failing.close()
    failing.closeAllConnections()
  })
})

describe('threat 71: revocation', () => {
  test('a token holds on through its expiry, but not through the loss of its key', async () => {
    const { clock, live, ask, reload } = world({ publicKey: pem })
    const client = await ask(await sign({ expiresIn: 10 }))
    clock.ms += 60_000
    expect(await client.credential?.holdsIn(live.current)).toBe(true)
    reload({ publicKey: pem, leeway: '1s' })
    expect(await client.credential?.holdsIn(live.current)).toBe(true)
    reload({ publicKey: otherEd.publicKey.export({ type: 'spki', format: 'pem' }).toString() })
    expect(await client.credential?.holdsIn(live.current)).toBe(false)
    reload(null)
    expect(await client.credential?.holdsIn(live.current)).toBe(false)
  })

  test('a token that was remembered is not believed after its key is gone', async () => {
    const { ask, reload } = world({ publicKey: pem })
    const token = await sign()
    await ask(token)
    reload({ publicKey: otherEd.publicKey.export({ type: 'spki', format: 'pem' }).toString() })
    await expect(ask(token)).rejects.toMatchObject(refused)
    reload({ publicKey: pem })
    expect(await ask(token)).toBeDefined()
  })
})

describe('threat 50: forged tokens of an address', () => {
  /** As a server wires it; `verified`: signatures that were verified. */
  function guarded() {
    const clock = { ms: NOW_SECONDS * 1000 }
    const now = () => clock.ms
    const live = createLiveConfig(parseConfig({ access: { openMode: 'off', jwt: { publicKey: pem } } }))
    const wrongTokens = new WrongTokens({ rates: new MemoryRateLimiter({ now }), now })
    const proxies = createProxyTrust(live)
    const identify = createIdentifier({
      live,
      authenticator: createAuthenticator({ live, clock: now, proxies, wrongTokens }),
      devices: new DeviceGate({ live, clock: now, records: { noteDevice: async () => undefined } }),
      wrongTokens,
    })
    const verify = vi.spyOn(crypto.subtle, 'verify')
    onTestFinished(() => verify.mockRestore())
    const ask = async (token: string, remoteAddress = '203.0.113.5') =>
      identify({ headers: { authorization: `Bearer ${token}` }, socket: { remoteAddress } }, { capability: false })
    return { clock, ask, verified: () => verify.mock.calls.length }
  }

  test('cost few verifications once they were too many, and keep no honest token out', async () => {
    const { clock, ask, verified } = guarded()
    const forged = await sign({ key: otherEd.privateKey })
    const known = await sign({ claims: { sub: 'known' } })
    await ask(known)
    for (let count = 0; count < 200; count += 1) await expect(ask(forged)).rejects.toMatchObject(refused)
    await expect(ask(forged)).rejects.toMatchObject({ code: 'rate_limited' })
    const before = verified()
    expect(before).toBeGreaterThan(200)
    for (let count = 0; count < 500; count += 1) {
      await expect(ask(forged)).rejects.toMatchObject({
        code: 'rate_limited',
        context: { limit: 'wrongTokens', value: 5 },
      })
    }
    expect(verified() - before).toBeLessThanOrEqual(5)
    // A token that was verified lately, and one of another address, are not held up.
    expect((await ask(known)).client.clientId).toBe('subject:known')
    const fresh = await sign({ claims: { sub: 'fresh' } })
    expect((await ask(fresh, '198.51.100.7')).client.clientId).toBe('subject:fresh')
    // A new one of the same address gets in when it tries again.
    clock.ms += 200
    expect((await ask(await sign({ claims: { sub: 'new' } }))).client.clientId).toBe('subject:new')
  })

  test('are forgotten after a while', async () => {
    const { clock, ask, verified } = guarded()
    const forged = await sign({ key: otherEd.privateKey })
    for (let count = 0; count < 210; count += 1) await expect(ask(forged)).rejects.toThrow(/token/)
    clock.ms += 41_000
    const before = verified()
    for (let count = 0; count < 50; count += 1) await expect(ask(forged)).rejects.toMatchObject(refused)
    expect(verified() - before).toBe(50)
  })
})
