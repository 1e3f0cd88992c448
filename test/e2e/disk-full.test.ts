import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { localAuth } from '../support/local-token.ts'
import { bytesFor } from '../support/random.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { fillDisk, onSmallDisk } from '../support/small-disk.ts'

const PART_BYTES = 256 * 1024
const OWNER = 'an-owner-secret-for-full-disks'

describe('a full disk', () => {
  let directory: string
  let dataDirectory: string
  let server: ServerProcess

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'sealift-disk-'))
    dataDirectory = join(directory, 'data')
    mkdirSync(dataDirectory)
    server = await startServerProcess({
      directory,
      config: { transfer: { partBytes: PART_BYTES }, storage: { refuseAbovePercent: 100 } },
      wrapper: onSmallDisk(dataDirectory, 48),
    })
  })

  afterEach(async () => {
    await server.kill()
    rmSync(directory, { recursive: true, force: true })
  })

  const call = (method: string, path: string, body?: Uint8Array<ArrayBuffer> | string): Promise<Response> =>
    fetch(`${server.url}${path}`, {
      method,
      headers: {
        ...localAuth(server.url),
        'sealift-owner': OWNER,
        'content-type': typeof body === 'string' ? 'application/json' : 'application/octet-stream',
      },
      ...(body === undefined ? {} : { body }),
    })

  const expectRefusal = async (response: Response): Promise<void> => {
    expect([503, 507]).toContain(response.status)
    const problem = (await response.json()) as { code: string; detail: string }
    expect(['storage_full', 'unavailable']).toContain(problem.code)
    expect(problem.detail.length).toBeGreaterThan(10)
  }

  const part = (index: number): Buffer<ArrayBuffer> => bytesFor(`part-${index}`, PART_BYTES)

  it('refuses new bytes with a clear problem, still serves older media, and takes new ones when there is room', async () => {
    const older = bytesFor('older', 3 * PART_BYTES + 5)
    const stored = (await (await call('POST', '/v1/media', older)).json()) as { mediaId: string }
    const begun = (await (await call('POST', '/v1/uploads', '{}')).json()) as { uploadId: string; mediaId: string }
    expect((await call('PUT', `/v1/uploads/${begun.uploadId}/parts/0`, part(0))).status).toBe(204)

    {
      using _full = fillDisk(server.pid, dataDirectory)
      await expectRefusal(await call('PUT', `/v1/uploads/${begun.uploadId}/parts/1`, part(1)))
      await expectRefusal(await call('POST', '/v1/media', older))
      const read = await call('GET', `/v1/media/${stored.mediaId}`)
      expect(Buffer.from(await read.arrayBuffer()).equals(older)).toBe(true)
      const status = await call('GET', `/v1/uploads/${begun.uploadId}`)
      expect(await status.json()).toMatchObject({ parts: [[0, 0]] })
    }

    await expect
      .poll(async () => (await call('PUT', `/v1/uploads/${begun.uploadId}/parts/1`, part(1))).status, {
        timeout: 20_000,
      })
      .toBe(204)
    const complete = await call('POST', `/v1/uploads/${begun.uploadId}/complete`, `{"sizeBytes":${2 * PART_BYTES}}`)
    expect(complete.status).toBe(200)
    const whole = await call('GET', `/v1/media/${begun.mediaId}`)
    expect(Buffer.from(await whole.arrayBuffer()).equals(Buffer.concat([part(0), part(1)]))).toBe(true)
    expect((await call('POST', '/v1/media', older)).status).toBe(201)
  })

  it('refuses an upload at its begin whose declared size exceeds the free space, and takes a smaller one', async () => {
    const begin = (sizeBytes: number) => call('POST', '/v1/uploads', JSON.stringify({ sizeBytes }))
    const refused = await begin(300 * 2 ** 20)
    expect(refused.status).toBe(507)
    expect(await refused.json()).toMatchObject({ code: 'storage_full', limit: 'disk' })
    expect((await begin(8 * 2 ** 20)).status).toBe(201)
  })

  it('refuses a media item of one request before its bytes are stored', async () => {
    const refused = await call('POST', '/v1/media', new Uint8Array(60 * 2 ** 20))
    expect(refused.status).toBe(507)
    expect(await refused.json()).toMatchObject({ code: 'storage_full', limit: 'disk' })
  })

  it('deletes media while it is full, which makes room', async () => {
    const mediaIds: string[] = []
    for (let index = 0; index < 8; index += 1) {
      const response = await call('POST', '/v1/media', bytesFor(`media-${index}`, 8 * PART_BYTES))
      mediaIds.push(((await response.json()) as { mediaId: string }).mediaId)
    }
    using _full = fillDisk(server.pid, dataDirectory)
    for (const mediaId of mediaIds) expect((await call('DELETE', `/v1/media/${mediaId}`)).status).toBe(204)
    await expect
      .poll(async () => (await call('POST', '/v1/media', part(0))).status, { timeout: 30_000, interval: 500 })
      .toBe(201)
  })
})
