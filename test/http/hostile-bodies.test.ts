/**
 * Bodies that cost more than they bring: where none is taken, in chunks of one byte, after the response, and
 * pipelined.
 */
import { randomBytes } from 'node:crypto'
import { IncomingMessage } from 'node:http'

import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'

import type { Limits } from '../../src/protocol/schemas.ts'
import { createApi, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { RawConnection } from '../support/raw-http.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const MiB = 2 ** 20
const CHUNKED = ['Host: localhost', 'Transfer-Encoding: chunked']
/** More than Node buffers of one body (64 KiB). */
const TINY_CHUNKS = '1\r\na\r\n'.repeat(80_000)

let server: TestServer
let api: Api
let mediaId: string

beforeAll(async () => {
  server = await startTestServer()
  api = createApi(server.url)
  mediaId = (await api.store(randomBytes(1000))).mediaId
})
afterAll(() => server.stop())

/** What a client can still send until the server closes the connection. */
async function sentUntilClosed(connection: RawConnection): Promise<number> {
  const chunk = Buffer.concat([Buffer.from('100000\r\n'), randomBytes(MiB), Buffer.from('\r\n')])
  let sentBytes = 0
  while (!connection.ended && sentBytes < 1024 * MiB) {
    connection.write(chunk)
    sentBytes += MiB
    await eventually('there is room', () => connection.ended || !connection.socket.writableNeedDrain)
  }
  return sentBytes
}

/** Growth of this process, which the server runs in, while `count` connections hold what they sent. */
async function heldBy(count: number, send: (connection: RawConnection) => void): Promise<number> {
  const before = process.memoryUsage().rss
  const connections = await Promise.all(Array.from({ length: count }, () => RawConnection.open(server.url)))
  for (const connection of connections) send(connection)
  const taken = () => connections.filter(({ ended, socket }) => ended || socket.writableLength === 0).length
  // What does not fit into the buffers of the system stays with the client.
  await eventually('the server has read what it will', () => taken() > 0)
  await api.call('health', {})
  const held = process.memoryUsage().rss - before
  for (const { socket } of connections) socket.destroy()
  return held
}

describe('threat 33: a body where no route takes one', () => {
  test.each(['GET /v1/media/ID', 'HEAD /v1/media/ID', 'GET /healthz', 'GET /openapi.json', 'DELETE /v1/media/ID'])(
    'is not read without an end: %s',
    async line => {
      await using connection = await RawConnection.open(server.url)
      connection.head(`${line.replace('ID', mediaId)} HTTP/1.1`, ...CHUNKED)
      expect(await sentUntilClosed(connection)).toBeLessThan(128 * MiB)
    },
  )

  test('gets a response when it is small, and the connection kept', async () => {
    await using connection = await RawConnection.open(server.url)
    for (let time = 0; time < 2; time += 1) {
      connection.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost', 'Content-Length: 3').write('abc')
      expect(await connection.response()).toMatchObject({ status: 200, cut: false })
    }
  })

  test('is not kept while a reader waits, however small its chunks', async () => {
    const octets = { 'content-type': 'application/octet-stream' }
    const { json } = await api.call('publishParcel', {}, { body: Buffer.from('sealed'), headers: octets })
    const { parcelId } = json as { parcelId: string }
    const waiting = [`GET /v1/parcels/${parcelId} HTTP/1.1`, ...CHUNKED, 'If-None-Match: "1"', 'Prefer: wait=20']
    const held = await heldBy(20, connection => connection.head(...waiting).write(TINY_CHUNKS))
    // 17 MiB each, when it is.
    expect(held).toBeLessThan(170 * MiB)
  })
})

describe('threat 33: a body that is left over when the response has ended', () => {
  test('is not waited for without an end', async () => {
    const idempotencyKey = randomBytes(8).toString('hex')
    const body = randomBytes(100_000)
    await api.store(body, {}, { 'idempotency-key': idempotencyKey })
    await using connection = await RawConnection.open(server.url)
    connection.head(
      'POST /v1/media HTTP/1.1',
      'Host: localhost',
      'Content-Type: application/octet-stream',
      `Content-Length: ${body.length}`,
      `Idempotency-Key: ${idempotencyKey}`,
    )
    expect((await connection.response())?.status).toBe(201)
    await eventually('it is cut', () => {
      connection.write('a')
      return connection.ended
    })
  })
})

describe('threat 78: a body in chunks of one byte', () => {
  test('is held in little more than its bytes while its size is found out', async () => {
    const head = ['POST /v1/media HTTP/1.1', ...CHUNKED, 'Content-Type: application/octet-stream']
    const held = await heldBy(20, connection => connection.head(...head).write('1\r\na\r\n'.repeat(65_000)))
    expect(held).toBeLessThan(100 * MiB)
  })

  test('is stored as it was sent', async () => {
    await using connection = await RawConnection.open(server.url)
    const bytes = randomBytes(40_000)
    sendInChunks(connection, bytes)
    expect((await storedBy(connection)).equals(bytes)).toBe(true)
  })

  test('is held in little more than its bytes while it waits for a slot', async () => {
    await using slots = await takeAllSlots()
    const head = ['POST /v1/media HTTP/1.1', ...CHUNKED, 'Content-Type: application/octet-stream']
    const held = await heldBy(20, connection => connection.head(...head).write(TINY_CHUNKS))
    expect(slots.ended).toBe(false)
    // 12 MiB and more each, when Node keeps its chunks.
    expect(held).toBeLessThan(120 * MiB)
  })

  test.each([1000, 60_000, 300_000])(
    'is stored as it was sent after it has waited for a slot: %d bytes',
    async size => {
      const slots = await takeAllSlots()
      await using connection = await RawConnection.open(server.url)
      const bytes = randomBytes(size)
      sendInChunks(connection, bytes)
      await eventually(
        'the server has read what it will',
        () => connection.socket.bytesWritten > Math.min(size, 64_000),
      )
      await slots[Symbol.asyncDispose]()
      expect((await storedBy(connection)).equals(bytes)).toBe(true)
    },
  )

  test.each(['POST /v1/media', 'POST /v1/uploads', 'PUT /v1/uploads/x/parts/0', 'POST /nothing'])(
    'is cut after a few thousand chunks when it is refused: %s',
    async line => {
      const push = vi.spyOn(IncomingMessage.prototype, 'push')
      onTestFinished(() => push.mockRestore())
      await using connection = await RawConnection.open(server.url)
      connection.head(`${line} HTTP/1.1`, ...CHUNKED, 'Authorization: Bearer wrong')
      connection.write('1\r\na\r\n'.repeat(700_000))
      await connection.closed()
      // A reset overtakes the response where unread chunks are still in flight, most of all behind a balancer.
      expect(connection.received.toString('latin1')).toMatch(/^(HTTP\/1\.1 40[14] |$)/)
      // 16 MiB of pieces that count as 4 KiB each, and the one that is too much.
      expect(push.mock.calls.length).toBeLessThan(4200)
    },
  )
})

/** In chunks from one byte to five thousand. */
function sendInChunks(connection: RawConnection, bytes: Buffer): void {
  connection.head('POST /v1/media HTTP/1.1', ...CHUNKED, 'Content-Type: application/octet-stream')
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7) % 5003) {
    const piece = bytes.subarray(at, at + size)
    connection
      .write(`${piece.length.toString(16)}\r\n`)
      .write(piece)
      .write('\r\n')
  }
  connection.write('0\r\n\r\n')
}

/** The bytes of the media that the server returns. */
async function storedBy(connection: RawConnection): Promise<Buffer> {
  const response = await connection.response()
  expect(response?.status).toBe(201)
  const stored = JSON.parse(response?.body.toString() ?? '') as { mediaId: string }
  return (await api.read(stored.mediaId)).body
}

/** Uploads that hold every slot of the client until disposed. */
async function takeAllSlots(): Promise<AsyncDisposable & { readonly ended: boolean }> {
  const { limits } = (await api.call('limits', {})).json as Limits
  const count = limits.concurrentUploads
  const holders = await Promise.all(Array.from({ length: count }, () => RawConnection.open(server.url)))
  for (const holder of holders) {
    const head = ['Host: localhost', 'Content-Type: application/octet-stream', 'Content-Length: 100000']
    holder.head('POST /v1/media HTTP/1.1', ...head).write('a')
  }
  const inUse = async () => ((await api.call('limits', {})).json as Limits).usage.uploads
  await eventually('every slot is taken', async () => (await inUse()) === count)
  return {
    get ended() {
      return holders.some(({ ended }) => ended)
    },
    async [Symbol.asyncDispose]() {
      for (const { socket } of holders) socket.destroy()
      await eventually('every slot of theirs is free', async () => (await inUse()) < count)
    },
  }
}

describe('threat 34: requests pipelined without an end', () => {
  test('are cut after the first few', async () => {
    await using connection = await RawConnection.open(server.url)
    connection.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(1000))
    await connection.closed()
    expect(connection.received.toString('latin1').split('HTTP/1.1 200').length - 1).toBeLessThanOrEqual(32)
  })

  test('get a response while they are few', async () => {
    await using connection = await RawConnection.open(server.url)
    connection.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'.repeat(20))
    for (let index = 0; index < 20; index += 1) expect((await connection.response())?.status).toBe(200)
  })
})

test('HEAD of a parcel tells what GET would send, without reading the manifest', async () => {
  const manifest = randomBytes(70_000)
  const octets = { 'content-type': 'application/octet-stream' }
  const { json } = await api.call('publishParcel', {}, { body: manifest, headers: octets })
  const url = `${server.url}/v1/parcels/${(json as { parcelId: string }).parcelId}`
  const [head, get] = await Promise.all([fetch(url, { method: 'HEAD' }), fetch(url)])
  for (const name of ['content-length', 'etag', 'sealift-version', 'sealift-transfer', 'cache-control']) {
    expect(head.headers.get(name)).toBe(get.headers.get(name))
  }
  expect(head.status).toBe(200)
})
