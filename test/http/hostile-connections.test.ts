/** What a client can do below the level of requests: malformed bytes, slowness, silence, too many connections. */
import { randomBytes } from 'node:crypto'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Limits } from '../../src/protocol/schemas.ts'
import { createApi, newOwner, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { RawConnection, type RawReply } from '../support/raw-http.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024

let server: TestServer
let api: Api

beforeAll(async () => {
  server = await startTestServer({
    transfer: { partBytes: PART, idleTimeout: '800ms', minimumBytesPerSecond: '64KiB' },
  })
  api = createApi(server.url, { owner: newOwner() })
})
afterAll(() => server.stop())

async function sendRaw(bytes: string): Promise<{ response: RawReply | null; rest: string }> {
  await using connection = await RawConnection.open(server.url)
  connection.write(bytes)
  const response = await connection.response()
  await connection.closed()
  return { response, rest: connection.received.toString('latin1') }
}

const usageOf = async () => ((await api.call('limits', {})).json as Limits).usage

describe('threat 28: a request that two servers could read differently', () => {
  const smuggled = 'GET /v1/limits HTTP/1.1\r\nHost: smuggled\r\n\r\n'

  test.each([
    [
      'both a length and chunks',
      'POST /v1/media HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    ],
    ['two lengths', 'POST /v1/media HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd'],
    ['a length with a sign', 'POST /v1/media HTTP/1.1\r\nHost: t\r\nContent-Length: +4\r\n\r\nabcd'],
    ['chunks twice', 'POST /v1/media HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n'],
    ['a folded header', 'GET / HTTP/1.1\r\nHost: t\r\nX: a\r\n b\r\n\r\n'],
    ['a space before the colon', 'GET / HTTP/1.1\r\nHost: t\r\nContent-Length : 4\r\n\r\nabcd'],
    ['a bare line feed', 'GET / HTTP/1.1\nHost: t\n\n'],
    ['a bare carriage return', 'GET / HTTP/1.1\r\nHost: t\r\nX: a\rb\r\n\r\n'],
    ['a NUL in a header', 'GET / HTTP/1.1\r\nHost: t\r\nX: a\0b\r\n\r\n'],
    ['no HTTP at all', 'hello\r\n\r\n'],
  ])('is refused and the connection closed: %s', async (_, request) => {
    const { response, rest } = await sendRaw(`${request}${smuggled}`)
    expect(response?.status).toBe(400)
    expect(JSON.parse(response?.body.toString() ?? '')).toMatchObject({ code: 'invalid_request', status: 400 })
    expect(rest).toBe('')
  })

  test('is refused with chunk lengths that are not what they seem', async () => {
    const head =
      'POST /v1/media HTTP/1.1\r\nHost: t\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n'
    const { rest } = await sendRaw(`${head}5;a=b\nhello\r\n0\r\n\r\n${smuggled}`)
    expect(rest).toBe('')
  })

  test('without a Host is refused', async () => {
    await using connection = await RawConnection.open(server.url)
    connection.head('GET /v1/limits HTTP/1.1')
    expect(await connection.response()).toMatchObject({ status: 400 })
  })
})

describe('threat 29 and 32: headers', () => {
  test('named like the insides of an object change nothing', async () => {
    await using connection = await RawConnection.open(server.url)
    connection.head('GET /v1/limits HTTP/1.1', 'Host: localhost', '__proto__: x', 'constructor: y', 'toString: z')
    expect((await connection.response())?.status).toBe(200)
  })

  test('that are too large are refused', async () => {
    const { response } = await sendRaw(`GET / HTTP/1.1\r\nHost: t\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`)
    expect(response?.status).toBe(431)
    expect(JSON.parse(response?.body.toString() ?? '')).toMatchObject({ code: 'headers_too_large' })
  })

  test('that are too many are refused', async () => {
    const many = Array.from({ length: 500 }, (_, index) => `${index}: x`)
    await using connection = await RawConnection.open(server.url)
    connection.head('GET /v1/limits HTTP/1.1', 'Host: localhost', ...many)
    expect((await connection.response())?.status).toBe(431)
  })
})

describe('threat 33: a slow sender', () => {
  test('that is idle in a part gets an error and is cut, and its slot is free', async () => {
    const { uploadId } = await api.begin({ json: { sizeBytes: PART } })
    await using slow = await RawConnection.open(server.url)
    slow.head(`PUT /v1/uploads/${uploadId}/parts/0 HTTP/1.1`, 'Host: localhost', `Content-Length: ${PART}`).write('abc')
    const response = await slow.response()
    expect(response?.status).toBe(503)
    expect(JSON.parse(response?.body.toString() ?? '')).toMatchObject({ code: 'stalled' })
    expect((await usageOf()).uploads).toBe(0)
    expect((await api.putPart(uploadId, 0, randomBytes(PART))).status).toBe(204)
  })

  test('that trickles below the minimum rate is cut', async () => {
    const { uploadId } = await api.begin({ json: { sizeBytes: PART } })
    await using slow = await RawConnection.open(server.url)
    slow.head(`PUT /v1/uploads/${uploadId}/parts/0 HTTP/1.1`, 'Host: localhost', `Content-Length: ${PART}`)
    const timer = setInterval(() => slow.socket.writable && slow.write('x'), 50)
    const response = await slow.response()
    clearInterval(timer)
    expect(response?.status).toBe(503)
  })

  test('that does not finish a JSON body is cut', async () => {
    await using slow = await RawConnection.open(server.url)
    slow
      .head('POST /v1/uploads HTTP/1.1', 'Host: localhost', 'Content-Type: application/json', 'Content-Length: 100')
      .write('{')
    expect((await slow.response())?.status).toBe(503)
  })

  test('that never finishes a form is cut, and nothing of it stays reserved', async () => {
    const before = await usageOf()
    await using slow = await RawConnection.open(server.url)
    slow.head(
      'POST /v1/media HTTP/1.1',
      'Host: localhost',
      'Content-Type: multipart/form-data; boundary=b',
      'Content-Length: 900000',
    )
    slow.write(`--b\r\nContent-Disposition: form-data; name="f"; filename="f"\r\n\r\n${'a'.repeat(300_000)}`)
    expect((await slow.response())?.status).toBe(503)
    await eventually('nothing is reserved', async () => (await usageOf()).reservedBytes === before.reservedBytes)
  })

  test('that sends no request at all is cut', async () => {
    await using silent = await RawConnection.open(server.url)
    await silent.closed()
    expect(silent.received.length).toBe(0)
  })
})

describe('threat 34: a slow reader', () => {
  test('is cut, its slot freed, and memory does not hold the media for it', async () => {
    // Patient enough that the first one is not cut before the last one has begun, also on a busy machine.
    await using patient = await startTestServer({
      transfer: { partBytes: PART, idleTimeout: '4s', minimumBytesPerSecond: '64KiB' },
    })
    const reading = createApi(patient.url, { owner: newOwner() })
    const downloads = async () => ((await reading.call('limits', {})).json as Limits).usage.downloads
    const { mediaId } = await reading.store(randomBytes(48 * 2 ** 20))
    const readers = await Promise.all(Array.from({ length: 20 }, () => RawConnection.open(patient.url)))
    const before = process.memoryUsage().rss
    for (const reader of readers) {
      reader.socket.pause()
      reader.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost')
    }
    await eventually('all hold slots', async () => (await downloads()) === 20)
    // 20 × 48 MiB would be 960 MiB.
    expect(process.memoryUsage().rss - before).toBeLessThan(300 * 2 ** 20)
    await eventually('all are cut', async () => (await downloads()) === 0, 30_000)
    for (const { socket } of readers) socket.destroy()
  })
})

describe('connections', () => {
  test('of one address are limited', async () => {
    await using strict = await startTestServer({ listen: { maxConnectionsPerAddress: 5 } })
    const each = Array.from({ length: 8 * strict.nodes }, () => RawConnection.open(strict.url))
    const connections = await Promise.all(each)
    const closed = () => connections.filter(({ ended }) => ended).length
    await eventually('the last three are closed', () => closed() === 3 * strict.nodes)
    for (const { socket } of connections) socket.destroy()
    await eventually('there is room again', async () => {
      const response = await fetch(`${strict.url}/healthz`).catch(() => null)
      return response?.status === 200
    })
    expect(connections).toHaveLength(8 * strict.nodes)
  })

  test('with a body that is refused early still get to read why', async () => {
    await using connection = await RawConnection.open(server.url)
    connection.head('PUT /v1/uploads/nope/parts/0 HTTP/1.1', 'Host: localhost', 'Content-Length: 3000000')
    connection.write(randomBytes(3_000_000))
    expect(await connection.response()).toMatchObject({ status: 404, headers: { connection: 'close' } })
  })

  test('that go on sending after a refusal are cut', async () => {
    await using connection = await RawConnection.open(server.url)
    connection.head('PUT /v1/uploads/nope/parts/0 HTTP/1.1', 'Host: localhost', 'Content-Length: 100000000')
    const chunk = randomBytes(1_000_000)
    while (!connection.ended) {
      connection.write(chunk)
      await eventually('there is room', () => connection.ended || !connection.socket.writableNeedDrain)
    }
    expect(connection.received.toString('latin1')).toMatch(/^HTTP\/1\.1 404 /)
  })
})
