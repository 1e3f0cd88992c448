import { describe, expect, test } from 'vitest'

import { createAuthenticator, type RequestFacts } from '../../../src/server/access/authenticator.ts'
import { createProxyTrust } from '../../../src/server/access/client-address.ts'
import { bearerToken, hashToken, newToken } from '../../../src/server/access/tokens.ts'
import { createLiveConfig } from '../../../src/server/config/live-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'
import type { RawMap } from '../../../src/server/config/raw.ts'

const alice = newToken()
const bob = newToken()
const local = newToken()
const TOKENS = [
  { subject: 'alice', sha256: hashToken(alice), tier: 'pro', device: 'phone' },
  { subject: 'bob', sha256: hashToken(bob) },
]

function world(raw: RawMap = {}) {
  const live = createLiveConfig(parseConfig({ tiers: { pro: {}, visitor: {} }, ...raw }))
  const proxies = createProxyTrust(live)
  const authenticator = createAuthenticator({ live, clock: () => 0, proxies, localTokenSha256: hashToken(local) })
  const ask = (headers: RequestFacts['headers'] = {}, facts: Partial<RequestFacts> = {}) =>
    authenticator.authenticate({ peerAddress: '127.0.0.1', headers, ...facts })
  return { live, ask }
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('static tokens', () => {
  test('name a subject, its tier and its device', async () => {
    const { ask } = world({ access: { tokens: TOKENS } })
    expect(await ask(bearer(alice))).toMatchObject({
      clientId: 'subject:alice',
      anonymous: false,
      tier: 'pro',
      device: 'phone',
    })
    expect(await ask(bearer(bob))).toMatchObject({ clientId: 'subject:bob', tier: 'default', device: null })
  })

  test.each([
    ['another token', bearer(newToken())],
    ['no token at all', { authorization: '' }],
    ['another scheme', { authorization: `Basic ${alice}` }],
    ['a bare token', { authorization: alice }],
    ['two tokens', { authorization: `Bearer ${alice}, Bearer ${alice}` }],
    ['a header twice', { authorization: [`Bearer ${alice}`] }],
    ['the hash instead of the token', bearer(hashToken(alice))],
    ['a token that is too long', bearer('a'.repeat(9000))],
    ['a signed token where none are taken', bearer('eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.')],
    ['the name of an inherited property', bearer('__proto__')],
  ])(
    'threat 50: %s is refused with one and the same message, also where open mode would let it in',
    async (_, headers) => {
      const { ask } = world({ access: { tokens: TOKENS, openMode: 'everywhere' }, listen: { host: '0.0.0.0' } })
      await expect(ask(headers)).rejects.toMatchObject({
        code: 'unauthorized',
        message: 'Send a valid token in the Authorization header, as: Bearer TOKEN',
      })
    },
  )

  test('a reload adds and takes away', async () => {
    const { live, ask } = world({ access: { tokens: TOKENS } })
    const before = await ask(bearer(alice))
    live.apply(parseConfig({ tiers: { pro: {} }, access: { tokens: TOKENS.slice(1) } }))
    await expect(ask(bearer(alice))).rejects.toMatchObject({ code: 'unauthorized' })
    expect(await before.credential?.holdsIn(live.current)).toBe(false)
    live.apply(parseConfig({ access: { tokens: [{ ...TOKENS[0], tier: 'default' }] } }))
    expect(await ask(bearer(alice))).toMatchObject({ tier: 'default' })
    expect(await before.credential?.holdsIn(live.current)).toBe(true)
  })

  test('a credential ends once its token is assigned to another client', async () => {
    const { live, ask } = world({ access: { tokens: TOKENS } })
    const before = await ask(bearer(bob))
    live.apply(parseConfig({ access: { tokens: [{ ...TOKENS[1], subject: 'carol' }] } }))
    expect(await before.credential?.holdsIn(live.current)).toBe(false)
  })

  test('new tokens are long, random and fit the header', () => {
    const tokens = new Set(Array.from({ length: 100 }, () => newToken()))
    expect(tokens.size).toBe(100)
    for (const token of tokens) {
      expect(token).toMatch(/^sealift_[\w-]{43}$/)
      expect(bearerToken(`Bearer ${token}`)).toBe(token)
    }
  })
})

describe('open mode', () => {
  const outside = { peerAddress: '203.0.113.5' }

  test.each([
    ['the page of another site', { origin: 'https://evil.example', host: '127.0.0.1:7325' }],
    ['a page without an origin of its own', { origin: 'null', host: '127.0.0.1:7325' }],
    ['a foreign name that resolves to this machine', { host: 'evil.example:7325' }],
    ['a foreign name that begins like ours', { host: 'localhost.evil.example' }],
  ])('loopback does not take requests of %s', async (_, headers) => {
    await expect(world().ask({ ...bearer(local), ...headers })).rejects.toMatchObject({ code: 'unauthorized' })
  })

  test.each([
    { host: 'localhost:7325' },
    { host: '[::1]:7325' },
    { host: '127.0.0.1', origin: 'http://localhost:5173' },
  ])('loopback takes requests that name this machine: %o', async headers => {
    expect(await world().ask({ ...bearer(local), ...headers })).toMatchObject({ anonymous: true })
  })

  test('threat 51: a loopback address alone proves nothing: no token, no right to store', async () => {
    const { live, ask } = world()
    await expect(ask()).rejects.toMatchObject({ code: 'unauthorized' })
    await expect(ask({ host: 'localhost' })).rejects.toMatchObject({ code: 'unauthorized' })
    await expect(ask(bearer(newToken()))).rejects.toMatchObject({ code: 'unauthorized' })
    const reader = await ask({}, { capability: true })
    expect(reader).toMatchObject({ clientId: 'address:127.0.0.1', anonymous: true })
    expect(await reader.credential?.holdsIn(live.current)).toBe(true)
  })

  test('a server without a local token takes none', async () => {
    const live = createLiveConfig(parseConfig({}))
    const authenticator = createAuthenticator({ live, clock: () => 0, proxies: createProxyTrust(live) })
    const request = { peerAddress: '127.0.0.1', headers: bearer(local) }
    await expect(authenticator.authenticate(request)).rejects.toMatchObject({ code: 'unauthorized' })
  })

  test('the local token names no client: it opens no more than the mode does, and reads by link where that is off', async () => {
    const off = world({ access: { openMode: 'off' } })
    await expect(off.ask(bearer(local))).rejects.toMatchObject({ code: 'unauthorized' })
    expect(await off.ask(bearer(local), { capability: true })).toMatchObject({ anonymous: true })
    const open = world({ access: { openMode: 'everywhere' }, listen: { host: '0.0.0.0' } })
    expect(await open.ask(bearer(local), outside)).toMatchObject({ clientId: 'address:203.0.113.5', anonymous: true })
  })

  test('loopback takes this machine alone, and never through a proxy, also with the local token', async () => {
    const { ask: bare } = world()
    const ask = (headers: RequestFacts['headers'] = {}, facts: Partial<RequestFacts> = {}) =>
      bare({ ...bearer(local), ...headers }, facts)
    expect(await ask()).toMatchObject({ clientId: 'address:127.0.0.1', anonymous: true, tier: 'default' })
    expect(await ask({}, { peerAddress: '::ffff:127.0.0.1' })).toMatchObject({ clientId: 'address:127.0.0.1' })
    await expect(ask({}, outside)).rejects.toMatchObject({ code: 'unauthorized' })
    await expect(ask({}, { peerAddress: undefined })).rejects.toMatchObject({ code: 'unauthorized' })
    for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'via', 'x-forwarded-host']) {
      await expect(ask({ [name]: '127.0.0.1' }), name).rejects.toMatchObject({ code: 'unauthorized' })
    }
  })

  test('a trusted proxy on this machine does not make the world local', async () => {
    const { ask } = world({ access: { openMode: 'off' }, listen: { trustedProxies: ['loopback'] } })
    for (const address of ['203.0.113.5', '127.0.0.1']) {
      const headers = { ...bearer(local), 'x-forwarded-for': address }
      await expect(ask(headers), address).rejects.toMatchObject({ code: 'unauthorized' })
    }
  })

  test('everywhere takes anyone, in the tier that was chosen, counted by address', async () => {
    const access = { openMode: 'everywhere', openTier: 'visitor' }
    const { ask } = world({ access, listen: { host: '0.0.0.0', trustedProxies: ['loopback'] } })
    expect(await ask({}, outside)).toMatchObject({ clientId: 'address:203.0.113.5', tier: 'visitor' })
    expect(await ask({}, { peerAddress: '2001:db8:1:2::9' })).toMatchObject({ clientId: 'address:2001:db8:1:2::/64' })
    expect(await ask({ 'x-forwarded-for': '198.51.100.1' })).toMatchObject({ clientId: 'address:198.51.100.1' })
  })

  test('off refuses every caller without a token, except with a capability', async () => {
    const { live, ask } = world({ access: { openMode: 'off' } })
    await expect(ask()).rejects.toMatchObject({ code: 'unauthorized' })
    const reader = await ask({}, { ...outside, capability: true })
    expect(reader).toMatchObject({ clientId: 'address:203.0.113.5', anonymous: true, tier: 'default' })
    live.apply(parseConfig({ access: { openMode: 'off', downloads: 'token' } }))
    expect(await reader.credential?.holdsIn(live.current)).toBe(false)
  })

  test('a capability does not excuse a wrong token', async () => {
    const { ask } = world({ access: { openMode: 'off' } })
    await expect(ask(bearer('wrong'), { capability: true })).rejects.toMatchObject({ code: 'unauthorized' })
  })

  test('closing open mode ends what was let in by it', async () => {
    const { live, ask } = world()
    const client = await ask(bearer(local))
    expect(await client.credential?.holdsIn(live.current)).toBe(true)
    live.apply(parseConfig({ access: { openMode: 'off' } }))
    expect(await client.credential?.holdsIn(live.current)).toBe(false)
  })
})
