/** Threat 53: the caps on what a client is charged are those of its own tier, whoever's request adds to it. */
import { createHash, randomBytes } from 'node:crypto'

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Limits, Parcel } from '../../src/protocol/schemas.ts'
import { createApi, newOwner, OCTETS, type Api } from '../support/api.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const OPEN_BYTES = 1_000_000
const OVER = OPEN_BYTES + 1
const WIDE = 'the token of a tier with a larger quota'
const NARROW = 'the token of a tier with a smaller quota'
const sha256 = (token: string) => createHash('sha256').update(token).digest('hex')
const bearer = (token: string) => Buffer.from(token).toString('base64url')

let server: TestServer
let owner: string
let anonymous: Api
let wide: Api
let narrow: Api

beforeAll(async () => {
  const tokens = [
    { subject: 'wide', sha256: sha256(bearer(WIDE)), tier: 'wide' },
    { subject: 'narrow', sha256: sha256(bearer(NARROW)), tier: 'narrow' },
  ]
  server = await startTestServer({
    access: { openMode: 'everywhere', openTier: 'open', tokens },
    tiers: {
      open: { storedBytes: OPEN_BYTES },
      wide: { storedBytes: 10 * OPEN_BYTES },
      narrow: { storedBytes: 1000 },
    },
  })
})
afterAll(() => server.stop())
beforeEach(() => {
  owner = newOwner()
  anonymous = createApi(server.url, { token: null, owner })
  wide = createApi(server.url, { token: bearer(WIDE), owner })
  narrow = createApi(server.url, { token: bearer(NARROW), owner })
})

const refused = { status: 413, json: { limit: 'storedBytes', value: OPEN_BYTES } }
const usageOf = async (api: Api) => ((await api.call('limits', {})).json as Limits).usage

describe('an upload begun by an address', () => {
  test('takes no more with a token of a larger tier than its address may store', async () => {
    const { uploadId } = await anonymous.begin()
    expect(await wide.putPart(uploadId, 0, randomBytes(OVER))).toMatchObject(refused)
    expect(await usageOf(wide)).toMatchObject({ storedBytes: 0, reservedBytes: 0 })
    await anonymous.call('abortUpload', { uploadId })
  })

  test('takes what its address may store with a token of a smaller tier, and charges the address', async () => {
    const { uploadId } = await anonymous.begin()
    expect((await narrow.putPart(uploadId, 0, randomBytes(50_000))).status).toBe(204)
    expect((await narrow.complete(uploadId, 50_000)).status).toBe(200)
    expect(await usageOf(narrow)).toMatchObject({ storedBytes: 0, reservedBytes: 0 })
    expect((await usageOf(anonymous)).storedBytes).toBeGreaterThanOrEqual(50_000)
  })
})

test('an upload of a token goes by its own tier', async () => {
  const { uploadId } = await wide.begin()
  expect((await wide.putPart(uploadId, 0, randomBytes(OVER))).status).toBe(204)
  await wide.call('abortUpload', { uploadId })
})

describe('a parcel made by an address', () => {
  const grow = (by: Api, { parcelId, version }: Parcel, bytes: number) =>
    by.call(
      'replaceManifest',
      { parcelId },
      { body: randomBytes(bytes), headers: { ...OCTETS, 'if-match': `"${version}"` } },
    )

  test('grows no further with its owner secret and a token than its address may store', async () => {
    const published = await anonymous.call('publishParcel', {}, { body: randomBytes(10), headers: OCTETS })
    const parcel = published.json as Parcel
    expect(await grow(wide, parcel, OVER)).toMatchObject(refused)
    expect(await grow(narrow, parcel, 5000)).toMatchObject({ status: 200 })
  })
})
