import { randomBytes } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import type { Limits, Parcel } from '../../src/protocol/schemas.ts'
import { createApi, newOwner, type Reply, type Api } from '../support/api.ts'
import { eventually } from '../support/eventually.ts'
import { RawConnection } from '../support/raw-http.ts'
import { replaceMethods } from '../support/replace-methods.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const PART = 256 * 1024
const usageOf = async (api: Api) => ((await api.call('limits', {})).json as Limits).usage

describe('stopping', () => {
  test('takes a moment when nothing runs, also with idle connections open', async () => {
    const server = await startTestServer()
    await using idle = await RawConnection.open(server.url)
    idle.head('GET /healthz HTTP/1.1', 'Host: localhost')
    expect((await idle.response())?.status).toBe(200)
    await using silent = await RawConnection.open(server.url)
    const began = performance.now()
    await server.stop()
    expect(performance.now() - began).toBeLessThan(2000)
    await idle.closed()
    await silent.closed()
    await expect(fetch(`${server.url}/healthz`)).rejects.toThrow('fetch failed')
  })

  test('lets running transfers end', async () => {
    const server = await startTestServer({ transfer: { partBytes: PART } })
    const api = createApi(server.url)
    const bytes = randomBytes(PART)
    const { uploadId } = await api.begin({ json: { sizeBytes: PART } })
    const large = randomBytes(30 * 2 ** 20)
    const { mediaId } = await api.store(large)
    await using sender = await RawConnection.open(server.url)
    sender
      .head(`PUT /v1/uploads/${uploadId}/parts/0 HTTP/1.1`, 'Host: localhost', `Content-Length: ${PART}`)
      .write(bytes.subarray(0, 999))
    await using reader = await RawConnection.open(server.url)
    reader.socket.pause()
    reader.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost')
    await eventually('both run', async () => {
      const { uploads, downloads } = await usageOf(api)
      return uploads === 1 && downloads === 1
    })
    const stopped = server.stop()
    await eventually('nothing new is taken', () =>
      fetch(`${server.url}/healthz`).then(
        () => false,
        () => true,
      ),
    )
    sender.write(bytes.subarray(999))
    reader.socket.resume()
    expect((await sender.response())?.status).toBe(204)
    expect((await reader.response())?.body.equals(large)).toBe(true)
    await stopped
  })

  test('cuts what still runs when the grace time is over, and keeps what was acknowledged', async () => {
    const first = await startTestServer({ transfer: { partBytes: PART, stopGrace: '100ms' } })
    const owner = newOwner()
    const api = createApi(first.url, { owner })
    const { uploadId } = await api.begin({ json: { sizeBytes: 2 * PART } })
    const part = randomBytes(PART)
    expect((await api.putPart(uploadId, 0, part)).status).toBe(204)
    await using sender = await RawConnection.open(first.url)
    sender
      .head(`PUT /v1/uploads/${uploadId}/parts/1 HTTP/1.1`, 'Host: localhost', `Content-Length: ${PART}`)
      .write('abc')
    await eventually('it runs', async () => (await usageOf(api)).uploads === 1)
    await first.stop({ keepData: true })
    const response = await sender.response()
    expect(response?.status).toBe(503)
    expect(JSON.parse(response?.body.toString() ?? '')).toMatchObject({ code: 'shutting_down' })
    await using second: TestServer = await startTestServer(
      { transfer: { partBytes: PART } },
      { dataDirectory: first.dataDirectory },
    )
    const there = createApi(second.url, { owner })
    expect((await there.call('uploadStatus', { uploadId })).json).toMatchObject({ parts: [[0, 0]] })
    expect((await there.putPart(uploadId, 1, part)).status).toBe(204)
    expect((await there.complete(uploadId, 2 * PART)).status).toBe(200)
  })

  test('sends those who wait away at once', async () => {
    const server = await startTestServer({
      transfer: { stopGrace: '500ms' },
      tiers: { default: { concurrentDownloads: 1 } },
    })
    const api = createApi(server.url)
    const made = await api.call('publishParcel', {}, { json: { manifest: 'YQ', media: [] } })
    const { parcelId } = made.json as Parcel
    const { mediaId } = await api.begin()
    await using holder = await RawConnection.open(server.url)
    holder.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost')
    await eventually('it holds the slot', async () => (await usageOf(api)).downloads === 1)
    const waiting = api.call('readParcel', { parcelId }, { headers: { 'if-none-match': '"1"', prefer: 'wait=30' } })
    await using queued = await RawConnection.open(server.url)
    queued.head(`GET /v1/media/${mediaId} HTTP/1.1`, 'Host: localhost')
    await api.call('limits', {})
    const stopped = server.stop()
    expect(await waiting).toMatchObject({ status: 503, code: 'shutting_down' })
    expect((await queued.response())?.status).toBe(503)
    expect(holder.ended).toBe(false)
    await stopped
    await holder.closed()
  })

  test('tells that it is not ready before it ends', async () => {
    const server = await startTestServer({ transfer: { stopGrace: '5s', partBytes: PART } })
    const api = createApi(server.url)
    await using kept = await RawConnection.open(server.url)
    kept.head('GET /readyz HTTP/1.1', 'Host: localhost')
    expect((await kept.response())?.status).toBe(200)
    const { uploadId } = await api.begin({ json: { sizeBytes: 10 } })
    await using sender = await RawConnection.open(server.url)
    sender.head(`PUT /v1/uploads/${uploadId}/parts/0 HTTP/1.1`, 'Host: localhost', 'Content-Length: 10').write('01234')
    await eventually('it runs', async () => (await usageOf(api)).uploads === 1)
    const stopped = server.stop()
    const admin = await fetch(`${server.adminUrl}/readyz`)
    expect(admin.status).toBe(503)
    sender.write('56789')
    expect((await sender.response())?.status).toBe(204)
    await stopped
  })
})

describe('readiness', () => {
  test('turns red when the storage fails, and the process stays alive', async () => {
    const failing = () => Promise.reject(new Error('disk gone'))
    let broken = false
    await using server = await startTestServer(
      {},
      {
        wrap: stores => ({
          ...stores,
          blobs: replaceMethods(stores.blobs, { probe: () => (broken ? failing() : stores.blobs.probe()) }),
        }),
      },
    )
    const api = createApi(server.url)
    expect(await api.call('ready', {})).toMatchObject({ status: 200, json: { status: 'ok' } })
    broken = true
    const responses: Reply[] = []
    await eventually(
      'it is noticed',
      async () => responses.unshift(await api.call('ready', {})) > 0 && responses[0]?.status === 503,
    )
    expect(responses[0]?.json).toMatchObject({
      status: 'failing',
      checks: { storage: 'failing', records: 'ok' },
    })
    expect((await api.call('health', {})).status).toBe(200)
  })
})
