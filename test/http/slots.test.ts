import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import { SealiftError } from '../../src/protocol/errors.ts'
import type { Limits } from '../../src/protocol/schemas.ts'
import type { BlobStore } from '../../src/server/blobs/blob-store.ts'
import type { Stores } from '../../src/server/index.ts'
import { createApi, limitsButRows, OCTETS, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { formBody, FORM } from '../support/form.ts'
import { RawConnection } from '../support/raw-http.ts'
import { replaceMethods } from '../support/replace-methods.ts'
import { startTestServer } from '../support/test-server.ts'

const PART = 256 * 1024
const CAP = 7

const limitsOf = async (api: Api) => (await api.call('limits', {})).json as Limits
const idle = async (api: Api) => {
  const { usage } = await limitsOf(api)
  return usage.uploads === 0 && usage.downloads === 0
}
const tier = (limits: Record<string, unknown>) => ({ transfer: { partBytes: PART }, tiers: { default: limits } })

/** Counts how many calls of a store run at once. The first ones last until as many run as may, each other a moment. */
class Gauge {
  running = 0
  highest = 0
  readonly #full = Promise.withResolvers<void>()

  async around<T>(work: () => Promise<T>): Promise<T> {
    this.running += 1
    this.highest = Math.max(this.highest, this.running)
    try {
      if (this.running >= CAP) this.#full.resolve()
      await Promise.race([this.#full.promise, pause(1000)])
      await pause(10)
      return await work()
    } finally {
      this.running -= 1
    }
  }

  wrap = (stores: Stores): Stores => {
    const { blobs } = stores
    const read: BlobStore['read'] = (...args) => this.around(() => blobs.read(...args))
    const putPart: BlobStore['putPart'] = (...args) => this.around(() => blobs.putPart(...args))
    return { ...stores, blobs: replaceMethods(blobs, { read, putPart }) }
  }
}

describe('200 requests at once under a cap', () => {
  const setUp = async () => {
    const gauge = new Gauge()
    const server = await startTestServer(
      tier({ concurrentUploads: CAP, concurrentDownloads: CAP, queue: 500, requestBurst: 10_000 }),
      { wrap: gauge.wrap },
    )
    return { gauge, server, api: createApi(server.url) }
  }

  test('never more downloads than the cap, and all complete', async () => {
    const { gauge, server, api } = await setUp()
    await using _ = server
    const bytes = randomBytes(3000)
    const { mediaId } = await api.store(bytes)
    gauge.highest = 0
    const responses = await Promise.all(Array.from({ length: 200 }, () => api.read(mediaId)))
    expect(responses.every(({ status, body }) => status === 200 && body.equals(bytes))).toBe(true)
    expect(gauge.highest).toBe(CAP)
    await eventually('all slots are free', () => idle(api))
  })

  test.each([
    [
      'parts',
      async (api: Api) => {
        const { uploadId } = await api.begin()
        return api.putPart(uploadId, 0, randomBytes(500))
      },
    ],
    ['whole media', (api: Api) => api.call('storeMedia', {}, { body: randomBytes(500), headers: OCTETS })],
    [
      'forms',
      (api: Api) => api.call('storeMedia', {}, { body: formBody([{ fileName: 'a', bytes: 'a' }]), headers: FORM }),
    ],
  ])('never more uploads of %s than the cap, and all complete', async (_, send) => {
    const { gauge, server, api } = await setUp()
    await using _server = server
    const responses = await Promise.all(Array.from({ length: 200 }, () => send(api)))
    expect(responses.every(({ status }) => status < 300)).toBe(true)
    expect(gauge.highest).toBe(CAP)
    await eventually('all slots are free', () => idle(api))
  })
})

describe('a queue', () => {
  test('that is full refuses the next at once, saying which limit and when to come again', async () => {
    await using server = await startTestServer(tier({ concurrentDownloads: 1, queue: 1, queueWait: '10m' }))
    const api = createApi(server.url)
    const { mediaId } = await api.begin()
    await using running = await RawConnection.open(server.url)
    running.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost')
    await eventually('it holds the slot', async () => (await limitsOf(api)).usage.downloads === 1)
    // The first request stays in the queue for longer than this test may take.
    const stop = new AbortController()
    const others = [1, 2].map(() => api.call('readMedia', { mediaId }, { signal: stop.signal }))
    expect(await Promise.race(others)).toMatchObject({
      status: 429,
      code: 'too_many_downloads',
      json: { limit: 'concurrentDownloads', value: 1, remaining: 0 },
    })
    expect(running.ended).toBe(false)
    stop.abort()
    const ends = await Promise.allSettled(others)
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('refuses a request after its queue timeout', async () => {
    await using server = await startTestServer(tier({ concurrentUploads: 1, queueWait: '50ms' }))
    const api = createApi(server.url)
    const { uploadId } = await api.begin({ json: { sizeBytes: PART } })
    await using holder = await RawConnection.open(server.url)
    holder.head(`PUT /v1/uploads/${uploadId}/parts/0 HTTP/1.1`, 'Host: localhost', `Content-Length: ${PART}`).write('a')
    await eventually('it holds the slot', async () => (await limitsOf(api)).usage.uploads === 1)
    const response = await api.call('storeMedia', {}, { body: randomBytes(100), headers: OCTETS })
    expect(response).toMatchObject({ status: 429, code: 'too_many_uploads', json: { limit: 'concurrentUploads' } })
  })
})

describe('a slot', () => {
  test('is free again when the client vanishes, in either direction', async () => {
    await using server = await startTestServer(tier({ concurrentUploads: 3, concurrentDownloads: 3 }))
    const api = createApi(server.url)
    const { mediaId } = await api.store(randomBytes(30 * 2 ** 20))
    for (let round = 0; round < 3; round++) {
      const { uploadId } = await api.begin()
      const connections = await Promise.all(Array.from({ length: 6 }, () => RawConnection.open(server.url)))
      for (const [index, connection] of connections.entries()) {
        connection.socket.pause()
        if (index % 2 === 0) connection.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost')
        else {
          connection.head(
            `PUT /v1/uploads/${uploadId}/parts/${index} HTTP/1.1`,
            'Host: localhost',
            `Content-Length: ${PART}`,
          )
          connection.write('abc')
        }
      }
      await eventually('all hold slots', async () => {
        const { usage } = await limitsOf(api)
        return usage.uploads === 3 && usage.downloads === 3
      })
      for (const [index, { socket }] of connections.entries()) {
        if (index % 3 === 0) socket.resetAndDestroy()
        else socket.destroy()
      }
      await eventually('all slots are free', () => idle(api))
      expect((await api.call('abortUpload', { uploadId })).status).toBe(204)
    }
  })

  test('is free again when the disk fails', async () => {
    const failing = () => Promise.reject(new SealiftError('unavailable', 'The disk does not respond'))
    await using server = await startTestServer(tier({ concurrentUploads: 2 }), {
      wrap: stores => ({ ...stores, blobs: replaceMethods(stores.blobs, { putPart: failing }) }),
    })
    const api = createApi(server.url)
    const before = await limitsButRows(api)
    const send = () => api.call('storeMedia', {}, { body: randomBytes(100), headers: OCTETS })
    const responses = await Promise.all(Array.from({ length: 10 }, send))
    expect(responses.every(({ code }) => code === 'unavailable')).toBe(true)
    expect(await limitsButRows(api)).toEqual(before)
  })

  test('is taken away when the token it came with is', async () => {
    const token = 'a-token-that-is-long-enough-000000'
    const sha256 = createHash('sha256').update(token).digest('hex')
    const access = { openMode: 'off', tokens: [{ subject: 'alice', sha256 }] }
    await using server = await startTestServer({ access })
    const api = createApi(server.url, { token })
    const { mediaId } = await api.begin()
    const made = await api.call('publishParcel', {}, { json: { manifest: 'YQ', media: [] } })
    const { parcelId } = made.json as { parcelId: string }
    const headers = { 'if-none-match': '"1"', prefer: 'wait=30' }
    const waiting = api.call('readParcel', { parcelId }, { headers })
    await using follower = await RawConnection.open(server.url)
    follower.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost', `Authorization: Bearer ${token}`)
    await eventually('it follows', async () => (await limitsOf(api)).usage.downloads === 1)
    await server.reconfigure({ access: { tokens: [] } })
    expect((await follower.response())?.status).toBe(401)
    expect(await waiting).toMatchObject({ status: 401, code: 'unauthorized' })
  })
})
