import { createServer } from 'node:http'
import type { IncomingMessage, RequestListener, Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect } from 'node:net'
import type { AddressInfo, LookupFunction } from 'node:net'

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { createSealift, undiciTransport } from '../../../src/client/node/index.ts'
import type { Transport } from '../../../src/client/index.ts'
import { Sealift } from '../../../src/client/index.ts'
import { SELF_SIGNED } from '../../support/self-signed.ts'

const NEVER = new AbortController().signal
const LINK = `/p/${'a'.repeat(26)}#${'A'.repeat(43)}`

const closers: (() => void)[] = []
let origin: Server
let seen: string[] = []
let proxied: string[] = []
let proxyUrl: string

async function listening(server: Server): Promise<number> {
  await new Promise<void>(resolve => void server.listen(0, '127.0.0.1', resolve))
  closers.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port

/** A proxy that leads everything to `origin`, whatever its name. */
function proxy(): Server {
  const server = createServer((request: IncomingMessage, response) => {
    proxied.push(`${request.method} ${request.url}`)
    response.end('through the proxy')
  })
  server.on('connect', (request, client) => {
    proxied.push(`CONNECT ${request.url}`)
    const onward = connect(portOf(origin), '127.0.0.1', () => {
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      onward.pipe(client).pipe(onward)
    })
    onward.on('error', () => client.destroy())
    client.on('error', () => onward.destroy())
  })
  return server
}

beforeAll(async () => {
  origin = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`)
    response.end('straight')
  })
  await listening(origin)
  proxyUrl = `http://127.0.0.1:${await listening(proxy())}`
})

beforeEach(() => {
  seen = []
  proxied = []
})

afterAll(() => closers.forEach(close => close()))

const toHere: LookupFunction = (_, options, done) =>
  options.all === true ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4)

async function get(transport: Transport, url: string): Promise<string> {
  const request = { method: 'GET', url, headers: {}, signal: NEVER, stallTimeoutMs: 5000 } as const
  const response = await transport.request(request)
  let text = ''
  for await (const piece of response.body) text += Buffer.from(piece).toString()
  return text
}

describe('a proxy named by the environment', () => {
  const using = (environment: Readonly<Record<string, string>>): Transport =>
    undiciTransport({ connections: 2, environment, lookup: toHere })

  it.each(['http_proxy', 'HTTP_PROXY'])('by %s takes the requests to every other machine', async name => {
    await using transport = using({ [name]: proxyUrl })
    await get(transport, `http://media.example:${portOf(origin)}/a`)
    expect(proxied).toHaveLength(1)
    expect(proxied[0]).toContain('media.example')
    // Where its connections lead is its own affair.
    expect(transport.judgesConnections).toBe(false)
  })

  it.each(['127.0.0.1', 'localhost', 'localhost.', 'inner.localhost'])('is never asked for %s', async host => {
    await using transport = using({ http_proxy: proxyUrl, https_proxy: proxyUrl })
    expect(await get(transport, `http://${host}:${portOf(origin)}/a`)).toBe('straight')
    expect(proxied).toEqual([])
  })

  it.each(['media.example', '.example', '*'])('is not asked for what no_proxy=%s names', async noProxy => {
    await using transport = using({ HTTP_PROXY: proxyUrl, NO_PROXY: noProxy })
    expect(await get(transport, `http://media.example:${portOf(origin)}/a`)).toBe('straight')
    expect(proxied).toEqual([])
  })

  it('is asked for a tunnel to a server with TLS', async () => {
    await using transport = using({ https_proxy: proxyUrl })
    await expect(get(transport, 'https://media.example/a')).rejects.toMatchObject({ code: 'network' })
    expect(proxied[0]).toBe('CONNECT media.example:443')
  })

  it('is not there when none is named', async () => {
    await using transport = using({ NO_PROXY: 'a', http_proxy: '' })
    expect(await get(transport, `http://media.example:${portOf(origin)}/a`)).toBe('straight')
    expect(transport.judgesConnections).toBe(true)
  })
})

describe('a client reports at once', () => {
  /** Fails the test by its timeout if it were to try again. */
  const quick = { retry: { patienceMs: 600_000, baseMs: 300_000, capMs: 300_000 } }

  it('that a certificate is not trusted, and does not try again', async () => {
    const server = createTlsServer({ ...SELF_SIGNED }, (_, response) => response.end())
    const url = `https://127.0.0.1:${await listening(server)}`
    await using sealift = createSealift({ server: url, stateDirectory: false, ...quick })
    const expected = { code: 'untrusted_server', message: expect.stringContaining('certificate') }
    await expect(sealift.open(url + LINK)).rejects.toMatchObject(expected)
  })

  const redirecting = async (location: string): Promise<{ url: string; requests: string[] }> => {
    const requests: string[] = []
    const listener: RequestListener = (request, response) => {
      requests.push(request.url ?? '')
      response.writeHead(301, { location }).end()
    }
    return { url: `http://127.0.0.1:${await listening(createServer(listener))}`, requests }
  }

  it.each([
    ['Node', () => createSealift({ stateDirectory: false, ...quick })],
    ['fetch', () => new Sealift(quick)],
  ])('that a server redirects, with what to do, and does not follow (%s)', async (_, client) => {
    const { url, requests } = await redirecting('https://media.example/v1/x')
    await using sealift = client()
    const message = 'The server redirects to https://media.example, which is not followed. It wants TLS'
    const expected = { code: 'redirected', message: expect.stringContaining(message) }
    await expect(sealift.open(url + LINK)).rejects.toMatchObject(expected)
    expect(requests).toHaveLength(1)
  })

  it.each(['secret key', 'caf\u00e9', 'a\nb', '\u{1f511}', 'a\u0000', '', ' \n'])('that %j is no token', token => {
    const options = { server: 'http://127.0.0.1:9', token, stateDirectory: false } as const
    expect(() => createSealift(options)).toThrow(expect.objectContaining({ code: 'invalid_request' }))
    expect(() => new Sealift(options)).toThrow(
      /^The token (is empty|holds a blank or a character that no HTTP header takes)\. Copy it anew, in one line$/,
    )
  })

  it('that a secret or another value is not valid in a header, and sends no request', async () => {
    await using sealift = createSealift({ server: `http://127.0.0.1:${portOf(origin)}`, stateDirectory: false })
    const link = `http://127.0.0.1:${portOf(origin)}${LINK}`
    await expect(sealift.delete(link, 'a\r\nX: y')).rejects.toMatchObject({ code: 'invalid_request' })
    expect(seen).toEqual([])
  })

  it('nothing of white space around a token', async () => {
    await using sealift = createSealift({ server: `http://127.0.0.1:${portOf(origin)}`, token: ' abc\r\n' })
    await expect(sealift.limits()).rejects.toMatchObject({ code: 'invalid_response' })
    expect(seen).toEqual(['GET /v1/limits'])
  })
})
