import { afterAll, beforeAll, expect, test } from 'vitest'

import { SealiftError } from '../../src/protocol/errors.ts'
import type { Stores } from '../../src/server/index.ts'
import { createApi, newOwner, type Api } from '../support/api.ts'
import { bytesFor } from '../support/random.ts'
import { replaceMethods } from '../support/replace-methods.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const bytes = bytesFor('ended meanwhile', 1000)

let server: TestServer
let api: Api
/** Called when bytes are about to be read or completed, which are then not there. */
let meanwhile: (() => Promise<unknown>) | null = null
let records: Stores['records']
/** The newest upload. */
let begun: string | null = null

beforeAll(async () => {
  server = await startTestServer(
    {},
    {
      wrap(stores) {
        records = stores.records
        const read: typeof stores.blobs.read = async (...args) => {
          if (meanwhile === null) return stores.blobs.read(...args)
          await meanwhile()
          throw new SealiftError('damaged', 'Stored bytes are missing')
        }
        const beginUpload: typeof records.beginUpload = async upload => {
          const made = await stores.records.beginUpload(upload)
          begun = made.uploadId
          return made
        }
        const complete: typeof stores.blobs.complete = async (...args) => {
          if (meanwhile === null) return stores.blobs.complete(...args)
          await meanwhile()
          throw new SealiftError('damaged', 'Stored bytes are missing')
        }
        return {
          ...stores,
          blobs: replaceMethods(stores.blobs, { read, complete }),
          records: replaceMethods(records, { beginUpload }),
        }
      },
    },
  )
  api = createApi(server.url, { owner: newOwner() })
})
afterAll(() => server.stop())

/** As another node does. */
const completeAndEnd = (uploadId: string, mediaId: string) => async (): Promise<void> => {
  await records.finalizeUpload(uploadId, bytes.length)
  await records.finishUpload(uploadId, Date.now())
  await api.call('endLease', { mediaId })
}

test('a media item that is ended while it is being opened is gone, not damaged', async () => {
  const { mediaId } = await api.store(bytes)
  meanwhile = () => api.call('endLease', { mediaId })
  expect(await api.read(mediaId)).toMatchObject({ status: 410, code: 'gone' })
})

test('a part that is compared while its upload is given up is gone, not damaged', async () => {
  meanwhile = null
  const { uploadId } = await api.begin({ json: { sizeBytes: bytes.length } })
  expect((await api.putPart(uploadId, 0, bytes)).status).toBe(204)
  // As another node does.
  meanwhile = () => records.abortUpload(uploadId, Date.now())
  expect(await api.putPart(uploadId, 0, bytes)).toMatchObject({ status: 410, code: 'gone' })
})

test('a part that is compared while its upload is completed and its media ended comes too late, and is not damaged', async () => {
  meanwhile = null
  const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: bytes.length } })
  expect((await api.putPart(uploadId, 0, bytes)).status).toBe(204)
  meanwhile = completeAndEnd(uploadId, mediaId)
  expect(await api.putPart(uploadId, 0, bytes)).toMatchObject({ status: 409, code: 'upload_complete' })
})

test('an upload that is completed elsewhere while it is being completed, and whose media ended, is complete', async () => {
  meanwhile = null
  const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: bytes.length } })
  expect((await api.putPart(uploadId, 0, bytes)).status).toBe(204)
  meanwhile = completeAndEnd(uploadId, mediaId)
  expect(await api.complete(uploadId, bytes.length)).toMatchObject({ status: 200 })
  expect(await api.read(mediaId)).toMatchObject({ status: 410 })
})

test('an upload that is ended while it is being completed is gone, not damaged', async () => {
  meanwhile = null
  const { uploadId, mediaId } = await api.begin({ json: { sizeBytes: bytes.length } })
  expect((await api.putPart(uploadId, 0, bytes)).status).toBe(204)
  meanwhile = () => api.call('endLease', { mediaId })
  expect(await api.complete(uploadId, bytes.length)).toMatchObject({ status: 410, code: 'gone' })
})

test('one that comes in one request, and is replaced on another node, likewise', async () => {
  meanwhile = async () => {
    if (begun !== null) await records.abortUpload(begun, Date.now())
  }
  const told = await api.call(
    'storeMedia',
    {},
    { body: bytes, headers: { 'content-type': 'application/octet-stream' } },
  )
  expect(told).toMatchObject({ status: 410, code: 'gone' })
})

test('bytes that are missing while nothing has ended are damaged', async () => {
  meanwhile = null
  const { mediaId } = await api.store(bytes)
  meanwhile = () => Promise.resolve()
  expect(await api.read(mediaId)).toMatchObject({ status: 500, code: 'damaged' })
})
