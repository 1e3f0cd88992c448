/** Who has no right to what a request names is refused before its body is read, and costs no memory and no parsing. */
import { createHash, randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'

import { newId } from '../../src/protocol/ids.ts'
import { routePath, type RouteName } from '../../src/protocol/paths.ts'
import { ROUTES, type Route } from '../../src/protocol/routes.ts'
import type { Parcel } from '../../src/protocol/schemas.ts'
import { createApi, newOwner, OCTETS } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { RawConnection, type RawReply } from '../support/raw-http.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const TOKEN = 'a-token-that-is-long-enough-for-this'
/** A manifest of 4 MiB as base64url, and 20,000 ids. */
const LARGEST_BYTES = Math.ceil((4 * 2 ** 20 * 4) / 3) + 20_000 * 29
const NAMES = (Object.keys(ROUTES) as RouteName[]).filter(name => ROUTES[name].access !== 'public')
const unknown = () => newId(randomBytes)

const parametersOf = () => ({
  uploadId: unknown(),
  mediaId: unknown(),
  parcelId: unknown(),
  transferId: unknown(),
  index: 0,
})

const CREDENTIALS: readonly (readonly [string, () => Record<string, string>])[] = [
  ['no credential', () => ({})],
  ['a made-up token', () => ({ Authorization: `Bearer ${newOwner()}` })],
  ['a made-up owner secret', () => ({ 'Sealift-Owner': newOwner() })],
]

/** Every type that a route takes, and for routes without a body one they do not take. */
function typesOf(name: RouteName): readonly string[] {
  const { json, streams = [] }: Route = ROUTES[name]
  return [...streams, ...(json || streams.length === 0 ? ['application/json'] : [])]
}

/** Open to anyone, or nothing to refuse: ending a direct transfer that never was. They ask for no body either. */
const leastStatus = (name: RouteName) => (name === 'endDirect' || ROUTES[name].access === 'anyone' ? 200 : 400)

interface Attempt {
  readonly name: RouteName
  readonly type: string
  readonly headers: Record<string, string>
  readonly sentBytes?: number
  readonly lengthBytes?: number
}

/** Sends the head, and as much of the body as is told: the rest is withheld. */
async function attempt(
  url: string,
  { name, type, headers, sentBytes = 0, lengthBytes = LARGEST_BYTES }: Attempt,
): Promise<RawReply & { readonly continued: boolean }> {
  const { method } = ROUTES[name]
  const all = { Host: 'test', 'Content-Type': type, 'Content-Length': lengthBytes, 'If-Match': '"1"', ...headers }
  const lines = Object.entries(all).map(([key, value]) => `${key}: ${value}`)
  await using connection = await RawConnection.open(url)
  connection.head(`${method} ${routePath(name, parametersOf() as never)} HTTP/1.1`, ...lines)
  if (sentBytes > 0) connection.write(Buffer.alloc(sentBytes, '['))
  await connection.until(() => connection.received.includes('\r\n\r\n'))
  const continued = connection.received.toString('latin1').startsWith('HTTP/1.1 100')
  const response = await connection.response({ head: method === 'HEAD' })
  if (!response) throw new Error(`${name} ended without an response`)
  return { ...response, continued }
}

let log = ''
/** Of requests that have ended; what took bytes of a body says so. */
const ended = () => log.split('\n').filter(line => line.includes('"durationMs"'))

describe.each(['off', 'everywhere'])('threat 78: with open mode %s, every route × every bad credential', openMode => {
  let server: TestServer
  beforeAll(async () => {
    log = ''
    const tokens = [{ subject: 'alice', sha256: createHash('sha256').update(TOKEN).digest('hex') }]
    server = await startTestServer(
      { access: { openMode, tokens }, log: { level: 'debug' } },
      { logTo: { write: line => void (log += line) } },
    )
  })
  afterAll(() => server.stop())

  // Routes that name nothing are open to an anonymous client where open mode is on.
  const isRefused = (name: RouteName, headers: Record<string, string>) =>
    openMode === 'off' || ROUTES[name].path.includes('{') || 'Authorization' in headers

  describe.each(NAMES)('%s', name => {
    test.each(CREDENTIALS)('with %s does not ask for the body', async (_, credential) => {
      for (const type of typesOf(name)) {
        const headers = { ...credential(), Expect: '100-continue' }
        if (!isRefused(name, headers)) continue
        const response = await attempt(server.url, { name, type, headers })
        expect([response.continued, response.cut], type).toEqual([false, false])
        expect(response.status).toBeGreaterThanOrEqual(leastStatus(name))
      }
    })

    test.each(CREDENTIALS)(
      'with %s responses while the last byte is withheld, and parses nothing',
      async (_, credential) => {
        const parse = vi.spyOn(JSON, 'parse')
        try {
          for (const type of typesOf(name)) {
            if (!isRefused(name, credential())) continue
            const sent = { sentBytes: 64 * 1024, lengthBytes: 64 * 1024 + 1 }
            const response = await attempt(server.url, { name, type, headers: credential(), ...sent })
            expect(response.status).toBeGreaterThanOrEqual(leastStatus(name))
          }
          expect(parse.mock.calls.filter(([text]) => text.includes('[['))).toEqual([])
        } finally {
          parse.mockRestore()
        }
      },
    )
  })

  test('not a byte of all these bodies was taken', async () => {
    await eventually('ends are logged', () => ended().length > NAMES.length)
    expect(ended().filter(line => line.includes('"receivedBytes"'))).toEqual([])
  })
})

describe('threat 78: what has a right, but is not sound', () => {
  let server: TestServer
  beforeAll(async () => {
    server = await startTestServer()
  })
  afterAll(() => server.stop())

  test('a manifest of a parcel of another is not asked for', async () => {
    const api = createApi(server.url, { owner: newOwner() })
    const made = await api.call('publishParcel', {}, { body: Buffer.from('abc'), headers: OCTETS })
    const { parcelId } = made.json as Parcel
    await using connection = await RawConnection.open(server.url)
    connection.head(
      `PUT /v1/parcels/${parcelId}/manifest HTTP/1.1`,
      'Host: localhost',
      'If-Match: "1"',
      'Content-Type: application/octet-stream',
      `Content-Length: ${4 * 2 ** 20}`,
      `Sealift-Owner: ${newOwner()}`,
      'Expect: 100-continue',
    )
    expect(await connection.response()).toMatchObject({ status: 404 })
  })

  const structures: readonly (readonly [string, string])[] = [
    ['600,000 keys', `{${Array.from({ length: 600_000 }, (_, at) => `"${at}":1`).join(',')}}`.slice(0, LARGEST_BYTES)],
    ['a million objects', `[${'{},'.repeat(1_000_000)}{}]`],
    ['a deep nest', '['.repeat(3_000_000)],
  ]
  test.each(structures)('%s are refused as they arrive, before anything parses them', async (_, body) => {
    const api = createApi(server.url, { owner: newOwner() })
    const parse = vi.spyOn(JSON, 'parse')
    try {
      const json = { 'content-type': 'application/json' }
      const response = await api.call('publishParcel', {}, { body, headers: json })
      expect(response).toMatchObject({ status: 400, code: 'invalid_request' })
      expect(parse.mock.calls.filter(([text]) => text.length > 10_000)).toEqual([])
    } finally {
      parse.mockRestore()
    }
  })

  test('an honest large manifest in JSON is not parsed on the event loop', async () => {
    const api = createApi(server.url, { owner: newOwner() })
    const manifest = randomBytes(4 * 2 ** 20)
    const parse = vi.spyOn(JSON, 'parse')
    try {
      const response = await api.call(
        'publishParcel',
        {},
        { json: { manifest: manifest.toString('base64url'), media: [] } },
      )
      expect(response.status).toBe(201)
      expect(parse.mock.calls.filter(([text]) => text.length > 64 * 1024)).toEqual([])
      const { parcelId } = response.json as Parcel
      expect((await api.call('readParcel', { parcelId })).body.equals(manifest)).toBe(true)
    } finally {
      parse.mockRestore()
    }
  })

  test('bodies of 1-byte chunks cost no object for each', async () => {
    await using connection = await RawConnection.open(server.url)
    connection.head(
      'POST /v1/uploads HTTP/1.1',
      'Host: localhost',
      'Content-Type: application/json',
      'Transfer-Encoding: chunked',
    )
    const body = `{"sizeBytes":1${' '.repeat(2000)}}`
    connection.write(`${body.replaceAll(/[^]/g, byte => `1\r\n${byte}\r\n`)}0\r\n\r\n`)
    expect(await connection.response()).toMatchObject({ status: 201 })
  })
})
