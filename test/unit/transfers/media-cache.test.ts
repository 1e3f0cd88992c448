import { describe, expect, test } from 'vitest'

import { cacheMedia } from '../../../src/server/transfers/download/media-cache.ts'
import type { RecordStore } from '../../../src/server/records/record-store.ts'
import type { MediaRecord } from '../../../src/server/records/record-types.ts'

const MEDIA: MediaRecord = {
  mediaId: 'a'.repeat(26),
  clientId: 'c',
  ownerHash: null,
  createdAt: 0,
  expiresAt: 1e15,
  maxDownloads: null,
  downloadsUsed: 0,
  sourceId: null,
  endedAt: null,
  blobId: 'b'.repeat(26),
  partBytes: 8,
  state: 'complete',
  sizeBytes: 5,
}

/** Records that count how often they are asked, and whose lease can be ended. */
function setUp(media: MediaRecord) {
  const state = { asked: 0, media, nowMs: 0, mark: 1, slowly: Promise.resolve() }
  const end = async () => {
    state.media = { ...state.media, endedAt: 1 }
  }
  const records = {
    async findMedia() {
      state.asked += 1
      const found = state.media
      await state.slowly
      return found
    },
    endLease: end,
    endParcel: end,
    async endExpiredParcels() {
      await end()
      return 1
    },
  } as unknown as RecordStore
  return { state, records: cacheMedia(records, { now: () => state.nowMs, changeMark: () => state.mark }) }
}

const claim = { clientId: null, ownerHash: null }

describe('a media item that is read repeatedly', () => {
  test('is looked up once in a while', async () => {
    const { state, records } = setUp(MEDIA)
    for (let round = 0; round < 5; round++) expect(await records.findMedia(MEDIA.mediaId)).toEqual(MEDIA)
    expect(state.asked).toBe(1)
    state.nowMs += 9999
    await records.findMedia(MEDIA.mediaId)
    expect(state.asked).toBe(1)
    state.nowMs += 1
    await records.findMedia(MEDIA.mediaId)
    expect(state.asked).toBe(2)
  })

  test.each<[string, Partial<MediaRecord>]>([
    ['it still grows', { state: 'uploading' }],
    ['its downloads are counted', { maxDownloads: 3 }],
    ['it has ended', { endedAt: 1 }],
  ])('is looked up each time while %s', async (_, facts) => {
    const { state, records } = setUp({ ...MEDIA, ...facts })
    await records.findMedia(MEDIA.mediaId)
    await records.findMedia(MEDIA.mediaId)
    expect(state.asked).toBe(2)
  })

  test.each<[string, (records: RecordStore) => Promise<unknown>]>([
    ['its lease', records => records.endLease(MEDIA.mediaId, claim, 1)],
    ['its parcel', records => records.endParcel('p', claim, 1)],
    ['its parcel, by time,', records => records.endExpiredParcels(1, 10)],
  ])('is known to have ended as soon as %s was ended', async (_, end) => {
    const { records } = setUp(MEDIA)
    await records.findMedia(MEDIA.mediaId)
    await end(records)
    expect(await records.findMedia(MEDIA.mediaId)).toMatchObject({ endedAt: 1 })
  })

  test('is recalled at once for as long as it is remembered', async () => {
    const { state, records } = setUp(MEDIA)
    expect(records.cachedMedia(MEDIA.mediaId)).toBeNull()
    await records.findMedia(MEDIA.mediaId)
    expect(records.cachedMedia(MEDIA.mediaId)).toEqual(MEDIA)
    state.nowMs += 10_000
    expect(records.cachedMedia(MEDIA.mediaId)).toBeNull()
    await records.findMedia(MEDIA.mediaId)
    await records.endLease(MEDIA.mediaId, claim, 1)
    expect(records.cachedMedia(MEDIA.mediaId)).toBeNull()
  })

  test('is not looked up again because another one ended', async () => {
    const { state, records } = setUp(MEDIA)
    await records.findMedia(MEDIA.mediaId)
    await records.endLease('z'.repeat(26), claim, 1)
    await records.findMedia(MEDIA.mediaId)
    expect(state.asked).toBe(1)
  })

  test('is not remembered when it ended while it was looked up', async () => {
    const { state, records } = setUp(MEDIA)
    const { promise, resolve } = Promise.withResolvers<void>()
    state.slowly = promise
    const early = records.findMedia(MEDIA.mediaId)
    await records.endLease(MEDIA.mediaId, claim, 1)
    resolve()
    expect(await early).toMatchObject({ endedAt: null })
    expect(await records.findMedia(MEDIA.mediaId)).toMatchObject({ endedAt: 1 })
  })

  test('is looked up again after any change that another process made', async () => {
    const { state, records } = setUp(MEDIA)
    await records.findMedia(MEDIA.mediaId)
    state.media = { ...MEDIA, endedAt: 1 }
    state.mark += 1
    expect(records.cachedMedia(MEDIA.mediaId)).toBeNull()
    expect(await records.findMedia(MEDIA.mediaId)).toMatchObject({ endedAt: 1 })
  })

  test('is not remembered beyond a change that came while it was looked up', async () => {
    const { state, records } = setUp(MEDIA)
    const { promise, resolve } = Promise.withResolvers<void>()
    state.slowly = promise
    const early = records.findMedia(MEDIA.mediaId)
    state.media = { ...MEDIA, endedAt: 1 }
    state.mark += 1
    resolve()
    await early
    expect(records.cachedMedia(MEDIA.mediaId)).toBeNull()
    expect(await records.findMedia(MEDIA.mediaId)).toMatchObject({ endedAt: 1 })
  })
})
