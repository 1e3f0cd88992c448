import { createHash } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'

import { piecesOf } from '../../../src/client/direct/media-urls.ts'
import { isUsableUrl, StoreConnection } from '../../../src/client/transport/store-connection.ts'
import { HashThread } from '../../../src/client/node/hash-thread.ts'
import { hashingHere } from '../../../src/client/send/part-hashing.ts'
import type { Transport, TransportRequest, TransportResponse } from '../../../src/client/transport/transport.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'

const SERVER = 'https://media.example'
const address = { url: 'https://store.example/part?secret', headers: {} }
const signal = new AbortController().signal
const requests: TransportRequest[] = []

afterEach(() => {
  requests.length = 0
})

/** Responds with a status, or fails as a broken connection does. */
function storePath(status: () => number | Error, now: () => number = () => 0): StoreConnection {
  const transport: Transport = {
    request(request) {
      requests.push(request)
      const outcome = status()
      if (outcome instanceof Error) return Promise.reject(outcome)
      const response: TransportResponse = {
        status: outcome,
        header: () => null,
        body: new ReadableStream(),
        discard: () => Promise.resolve(),
      }
      return Promise.resolve(response)
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const clock = { now, sleep: () => Promise.resolve() }
  return new StoreConnection({ transport, clock, server: SERVER, stallTimeoutMs: 60_000 })
}

describe('an address that a server gives', () => {
  test('is used when it leads to a store', () => {
    expect(isUsableUrl(address, SERVER)).toBe(true)
    const headers = { 'Content-MD5': 'x', 'content-length': '1', 'x-amz-meta-a': '' }
    expect(isUsableUrl({ url: 'http://store.lan/a', headers }, 'http://media.lan')).toBe(true)
    expect(isUsableUrl({ url: 'http://127.0.0.1:9000/a', headers: {} }, 'http://localhost:7325')).toBe(true)
  })

  test.each([
    ['a store without TLS behind a server with it', 'http://store.example/', {}],
    ["a service of the client's own machine", 'https://127.0.0.1:8443/', {}],
    ['the same by name', 'https://localhost/', {}],
    ['the same over IPv6', 'https://[::1]/', {}],
    ['something that is not fetched', 'file:///etc/passwd', {}],
    ['a password', 'https://user:pass@store.example/', {}],
    ['no address at all', 'store', {}],
    ['a header that a store has no use for', 'https://store.example/', { authorization: 'Bearer x' }],
  ])('is not used when it is or has %s', async (_, url, headers) => {
    expect(isUsableUrl({ url, headers }, SERVER)).toBe(false)
    const path = storePath(() => 200)
    expect(await path.request({ method: 'GET', presigned: { url, headers }, signal })).toBe('failed')
    expect(requests).toEqual([])
    expect(path.isOpen).toBe(false)
  })
})

describe('a store', () => {
  test('gets the headers of the address, and the length from the transport alone', async () => {
    const headers = { 'content-length': '3', 'content-md5': 'abc' }
    await storePath(() => 200).request({ method: 'PUT', presigned: { ...address, headers }, signal })
    expect(requests[0]?.headers).toEqual({ 'content-md5': 'abc' })
  })

  test.each([
    [403, 'refused'],
    [400, 'refused'],
    [404, 'absent'],
    [500, 'failed'],
    [307, 'failed'],
    [new Error('broken'), 'failed'],
  ])('that responds with %s has %s', async (status, trouble) => {
    expect(await storePath(() => status).request({ method: 'GET', presigned: address, signal })).toBe(trouble)
  })

  test('that fails a few times is left alone for minutes; one success in between begins anew', () => {
    let now = 0
    const path = storePath(
      () => 500,
      () => now,
    )
    path.failed()
    path.failed()
    path.worked()
    for (let times = 0; times < 3; times += 1) {
      expect(path.isOpen).toBe(true)
      now += 2000
      path.failed()
    }
    expect(path.isOpen).toBe(false)
    now += 299_000
    expect(path.isOpen).toBe(false)
    now += 1000
    expect(path.isOpen).toBe(true)
  })

  test('that has worked is not left alone because many connections to it broke at once', () => {
    const path = storePath(() => 500)
    path.worked()
    for (let times = 0; times < 10; times += 1) path.failed()
    expect(path.isOpen).toBe(true)
  })
})

test('a range is cut where the parts of a media item meet', () => {
  expect(piecesOf({ start: 5, end: 25 }, 10)).toEqual([
    { part: 0, start: 5, end: 10, at: 5 },
    { part: 1, start: 0, end: 10, at: 10 },
    { part: 2, start: 0, end: 5, at: 20 },
  ])
  expect(piecesOf({ start: 10, end: 20 }, 10)).toEqual([{ part: 1, start: 0, end: 10, at: 10 }])
})

test('MD5 is the same here, on the thread, and in a browser', async () => {
  const bytes = new Uint8Array(100_000).map((_, at) => at % 251)
  const expected = createHash('md5').update(bytes).digest('hex')
  const browser = hashingHere(nodeSuite)
  await using thread = new HashThread(browser)
  const shared = thread.allocate(bytes.byteLength)
  shared.set(bytes)
  expect(Buffer.from(await browser.md5(bytes)).toString('hex')).toBe(expected)
  expect(Buffer.from(await thread.md5(shared)).toString('hex')).toBe(expected)
})
