import { createServer } from 'node:http'
import type { Server } from 'node:http'
import type { LookupFunction, AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { monotonicClock } from '../../../src/client/concurrency/monotonic-clock.ts'
import { StoreConnection } from '../../../src/client/transport/store-connection.ts'
import { ServerNetworks } from '../../../src/client/node/transport/connection-pools.ts'
import { undiciTransport } from '../../../src/client/node/transport/undici-transport.ts'
import type { Transport } from '../../../src/client/transport/transport.ts'

const NEVER = new AbortController().signal
const SERVER = 'http://media.example:7325'

/** Something that listens on this machine, on both families: what a server must not reach through its clients. */
let service: Server
let port: number
let connections = 0

beforeAll(async () => {
  service = createServer((_, response) => response.end('inner'))
  service.on('connection', () => (connections += 1))
  await new Promise<void>(resolve => void service.listen(0, '::', resolve))
  port = (service.address() as AddressInfo).port
})

afterAll(() => {
  service.closeAllConnections()
  service.close()
})

/** A resolver with the given names and IP addresses. */
function resolver(names: Readonly<Record<string, readonly string[]>>): LookupFunction {
  return (hostname, options, done) => {
    const found = (names[hostname] ?? []).map(address => ({ address, family: address.includes(':') ? 6 : 4 }))
    if (options.all === true) done(null, found)
    else done(null, found[0]?.address ?? '', found[0]?.family)
  }
}

const transportWith = (lookup: LookupFunction): Transport =>
  undiciTransport({ connections: 4, lookup, environment: {} })

const get = (transport: Transport, url: string, noNearerThan?: string): Promise<string> =>
  transport
    .request({
      method: 'GET',
      url,
      headers: {},
      signal: NEVER,
      stallTimeoutMs: 5000,
      ...(noNearerThan !== undefined && { noNearerThan }),
    })
    .then(async response => {
      let text = ''
      for await (const piece of response.body) text += Buffer.from(piece).toString()
      return text
    })

const INNER_HOSTS = [
  '127.0.0.1',
  '127.1',
  '2130706433',
  '0x7f000001',
  '127.8.9.10',
  '0.0.0.0',
  '0',
  '[::1]',
  '[::]',
  '[::ffff:127.0.0.1]',
  '[::ffff:7f00:1]',
  'localhost',
  'localhost.',
  'inner.localhost',
  '127.0.0.1.nip.io',
  'six.nip.io',
  'mapped.nip.io',
  'both.nip.io',
  'private.nip.io',
]

const NAMES = {
  localhost: ['127.0.0.1', '::1'],
  'localhost.': ['127.0.0.1'],
  'inner.localhost': ['127.0.0.1'],
  '127.0.0.1.nip.io': ['127.0.0.1'],
  'six.nip.io': ['::1'],
  'mapped.nip.io': ['::ffff:127.0.0.1'],
  'both.nip.io': ['::1', '127.0.0.1'],
  'private.nip.io': ['10.0.0.1', '169.254.169.254', '192.168.0.1', 'fd00:ec2::254', '100.64.0.1'],
}

describe('threat: the store of a server on the internet', () => {
  it.each(INNER_HOSTS)('is not looked for at %s, to which no connection is made', async host => {
    await using transport = transportWith(resolver(NAMES))
    const before = connections
    await expect(get(transport, `http://${host}:${port}/`, SERVER)).rejects.toMatchObject({ code: 'not_direct' })
    await expect(get(transport, `https://${host}:${port}/`, SERVER)).rejects.toMatchObject({ code: 'not_direct' })
    expect(connections).toBe(before)
  })

  it('is judged by the IP address that is connected to, whatever the name resolved to before', async () => {
    const resolved = [['10.0.0.1'], ['127.0.0.1'], ['::1']]
    let asked = 0
    const lookup: LookupFunction = (hostname, options, done) =>
      resolver({ [hostname]: resolved[asked++ % resolved.length] ?? [] })(hostname, options, done)
    await using transport = transportWith(lookup)
    const before = connections
    for (const _ of resolved)
      await expect(get(transport, `http://store.example:${port}/`, SERVER)).rejects.toMatchObject({
        code: 'not_direct',
      })
    expect(asked).toBe(resolved.length)
    expect(connections).toBe(before)
  })

  it('is left alone for minutes after one such address', async () => {
    await using transport = transportWith(resolver(NAMES))
    const store = new StoreConnection({ transport, clock: monotonicClock, server: SERVER, stallTimeoutMs: 5000 })
    const address = { url: `http://both.nip.io:${port}/`, headers: {} }
    expect(await store.request({ method: 'GET', presigned: address, signal: NEVER })).toBe('failed')
    expect(store.isOpen).toBe(false)
  })
})

describe('the store of a server on this machine', () => {
  it('may be there too, by whatever name both are reached', async () => {
    await using transport = transportWith(resolver({ 'media.lan': ['127.0.0.1'], 'store.lan': ['::1'] }))
    const server = `http://media.lan:${port}`
    expect(await get(transport, `${server}/`)).toBe('inner')
    expect(await get(transport, `http://store.lan:${port}/`, server)).toBe('inner')
    expect(await get(transport, `http://127.0.0.1:${port}/`, server)).toBe('inner')
  })

  it('threat: a connection kept from a nearer server serves no farther one', async () => {
    await using transport = transportWith(resolver({ 'media.lan': ['127.0.0.1'], 'store.lan': ['127.0.0.1'] }))
    expect(await get(transport, `http://media.lan:${port}/`)).toBe('inner')
    expect(await get(transport, `http://store.lan:${port}/`, `http://media.lan:${port}`)).toBe('inner')
    const before = connections
    await expect(get(transport, `http://store.lan:${port}/`, SERVER)).rejects.toMatchObject({ code: 'not_direct' })
    await expect(get(transport, `http://media.lan:${port}/`, SERVER)).rejects.toMatchObject({ code: 'not_direct' })
    expect(connections).toBe(before)
  })
})

it('threat: a server whose name leads to this machine now and then counts as being where it was farthest', () => {
  const places = new ServerNetworks()
  expect(places.of(SERVER)).toBe('public')
  places.note(SERVER, 'loopback')
  expect(places.of(SERVER)).toBe('loopback')
  places.note(SERVER, 'public')
  places.note(SERVER, 'loopback')
  expect(places.of(SERVER)).toBe('public')
})
