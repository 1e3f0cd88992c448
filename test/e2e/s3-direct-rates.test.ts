/** Direct transfer where clients have a byte rate: nobody waits for an address until they are taken for lost. */
import { createHash } from 'node:crypto'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { Sealift } from '../../src/client/index.ts'
import * as schemas from '../../src/protocol/schemas.ts'
import { createApi, type Api } from '../support/api.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { LOCAL_TOKEN } from '../support/local-token.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { bytesFor } from '../support/random.ts'
import { makeBucket, s3Settings } from '../support/s3-bucket.ts'
import { content, digest, MemorySink, only } from '../support/sdk.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const MIB = 1024 * 1024
const PART = MIB / 4
const PARTS = 6
const bytes = bytesFor('paced', PARTS * PART)

let server: TestServer
let api: Api
let mediaId: string

beforeAll(async () => {
  const s3 = s3Settings(await makeBucket(await sharedEngine(cephEngine)))
  server = await startTestServer({
    storage: { kind: 's3', transfer: 'direct', s3 },
    transfer: { partBytes: PART },
  })
  api = createApi(server.url)
  mediaId = (await api.store(bytes)).mediaId
}, 120_000)

afterAll(() => server.stop())

const limitTo = (bytesPerSecond: number, partBytes = PART): Promise<void> =>
  server.reconfigure({
    transfer: { partBytes },
    tiers: { default: { uploadBytesPerSecond: bytesPerSecond, downloadBytesPerSecond: bytesPerSecond } },
  })

const addressesFrom = (start: number) => api.call('directRead', { mediaId }, { json: { start } })

test('an response has addresses for no more than two seconds of the rate', async () => {
  await limitTo(PART)
  for (const [start, indices] of [
    [0, [0, 1]],
    [PART + 5, [1, 2]],
    [(PARTS - 1) * PART, [PARTS - 1]],
  ] as const) {
    const { parts, transferId } = schemas.directRead.parse((await addressesFrom(start)).json)
    expect(parts.map(({ index }) => index)).toEqual(indices)
    await api.call('endDirect', { transferId })
  }
})

test('a part that would take longer goes through the server', async () => {
  await limitTo(PART / 4)
  expect(await addressesFrom(0)).toMatchObject({ status: 409, code: 'not_direct' })
  const { uploadId } = await api.begin({ json: { sizeBytes: PART } })
  const part = bytes.subarray(0, PART)
  const md5 = createHash('md5').update(part).digest('base64')
  const asked = await api.call('directPart', { uploadId, index: 0 }, { json: { sizeBytes: PART, md5 } })
  expect(asked).toMatchObject({ status: 409, code: 'not_direct' })
  await api.call('abortUpload', { uploadId })
})

test('the SDK sends and fetches such parts, without being told', async () => {
  const film = content('film', 11 * MIB)
  await limitTo(4 * MIB, 10 * MIB)
  await using sealift = new Sealift({ server: server.url, token: LOCAL_TOKEN })
  const { link } = await sealift.send([{ name: 'film', source: film }])
  const parcel = await sealift.open(link)
  const sink = new MemorySink()
  await parcel.download(only(parcel), sink)
  expect(digest(sink.bytes)).toBe(digest(film))
})
