import { describe, expect, it } from 'vitest'

import type { MediaRecord, NewLease } from '../../../src/server/records/record-types.ts'
import { freshId } from '../../support/blob-bytes.ts'
import { completeMedia, LATER, newLease, newParcel, NOW, PLENTY } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

const ALICE = { clientId: 'alice', ownerHash: null }
const BOB = { clientId: 'bob', ownerHash: null }

export function forwardsContract(records: Records): void {
  const counted = (maxDownloads: number, expiresAt = LATER) =>
    completeMedia(records(), 10, { lease: { maxDownloads, expiresAt } })
  const forward = (from: string, lease: Partial<NewLease> = {}) =>
    records().addLease({
      fromMediaId: from,
      lease: newLease({ clientId: 'bob', ...lease }),
      caps: PLENTY,
      idempotency: null,
    })
  const take = async (mediaId: string, now = NOW) => {
    const grantId = freshId()
    await records().takeDownload(mediaId, { grantId, expiresAt: LATER }, now)
    return grantId
  }
  const left = async (mediaId: string) => {
    const media = await records().findMedia(mediaId)
    return media && (media.maxDownloads ?? 0) - media.downloadsUsed
  }
  const takeAll = async (mediaIds: readonly string[], begun: string[] = []) => {
    const tries = mediaIds.map(mediaId => take(mediaId).then(grantId => begun.push(grantId)))
    const outcomes = await Promise.allSettled(tries)
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'downloads_exhausted' })
    }
    return outcomes.filter(outcome => outcome.status === 'fulfilled').length
  }

  describe('threat 61: forwards of a lease whose downloads are counted', () => {
    it('take their downloads from its count, and it from theirs', async () => {
      const source = await counted(3)
      const first = await forward(source.mediaId)
      const second = await forward(first.mediaId)
      expect([first, second]).toMatchObject([
        { maxDownloads: 3, downloadsUsed: 0 },
        { maxDownloads: 3, downloadsUsed: 0 },
      ])
      await take(second.mediaId)
      await take(source.mediaId)
      for (const { mediaId } of [source, first, second]) expect(await left(mediaId)).toBe(1)
      await take(first.mediaId)
      for (const { mediaId } of [source, first, second]) {
        await expect(take(mediaId)).rejects.toMatchObject({ code: 'downloads_exhausted' })
        await expect(forward(mediaId)).rejects.toMatchObject({ code: 'downloads_exhausted' })
      }
    })

    it('have what is left when they are made, whatever they ask for', async () => {
      const source = await counted(5, NOW + 60)
      await take(source.mediaId)
      const greedy = await forward(source.mediaId, { maxDownloads: 1000, expiresAt: LATER })
      expect(greedy).toMatchObject({ maxDownloads: 4, downloadsUsed: 0, expiresAt: NOW + 60 })
      const humble = await forward(source.mediaId, { maxDownloads: 2, expiresAt: NOW + 30 })
      expect(humble).toMatchObject({ maxDownloads: 2, downloadsUsed: 0, expiresAt: NOW + 30 })
      const last = await forward(humble.mediaId, { maxDownloads: null, expiresAt: LATER })
      expect(last).toMatchObject({ maxDownloads: 2, downloadsUsed: 0, expiresAt: NOW + 30 })
    })

    it('that ask for fewer are held to that, with all that is forwarded from them', async () => {
      const source = await counted(5)
      const few = await forward(source.mediaId, { maxDownloads: 2 })
      const onwards = await forward(few.mediaId)
      expect(await takeAll([onwards.mediaId, few.mediaId, onwards.mediaId, few.mediaId])).toBe(2)
      expect(await left(source.mediaId)).toBe(3)
      await take(source.mediaId)
      expect(await left(few.mediaId)).toBe(0)
    })

    it('have no more left than any count above them', async () => {
      const source = await counted(4)
      const few = await forward(source.mediaId, { maxDownloads: 3 })
      await take(source.mediaId)
      await take(source.mediaId)
      await take(source.mediaId)
      expect(await left(few.mediaId)).toBe(1)
      await take(few.mediaId)
      await expect(take(few.mediaId)).rejects.toMatchObject({ code: 'downloads_exhausted' })
    })

    it('end when it ends, and with the parcel that covers it, and so do theirs', async () => {
      const chainOf = async (mediaId: string) => {
        const first = await forward(mediaId)
        const second = await forward(first.mediaId, { maxDownloads: 1, clientId: 'carol' })
        const third = await forward(second.mediaId, { clientId: 'dave' })
        return [first, second, third]
      }
      const ends = async (chain: readonly MediaRecord[], endedAt: number | null) => {
        for (const { mediaId } of chain) expect(await records().findMedia(mediaId)).toMatchObject({ endedAt })
      }
      const [deleted, parcelled, middle] = [await counted(3), await counted(3), await counted(3)]
      const { parcelId } = await records().publishParcel(newParcel([parcelled.mediaId]), ALICE)
      const chains = await Promise.all([deleted, parcelled, middle].map(({ mediaId }) => chainOf(mediaId)))
      await records().endLease(deleted.mediaId, ALICE, NOW)
      await ends(chains[0] ?? [], NOW)
      await records().endParcel(parcelId, ALICE, NOW)
      await ends(chains[1] ?? [], NOW)
      const [head, ...tail] = chains[2] ?? []
      await records().endLease(head?.mediaId ?? '', BOB, NOW)
      await ends(tail, NOW)
      await ends([middle], null)
      for (const name of ['bob', 'carol', 'dave']) {
        expect(await records().usage(name)).toMatchObject({ storedBytes: 0 })
      }
      expect(await records().auditUsage(false)).toEqual([])
    })

    it('are not ended by the sweep while a download that began by one of them goes on', async () => {
      const source = await counted(1)
      const { mediaId } = await forward(source.mediaId)
      const grantId = await take(mediaId)
      expect(await records().hasGrant(mediaId, grantId, NOW)).toBe(true)
      expect(await records().endExpiredLeases(NOW, 10)).toBe(0)
      expect(await records().hasGrant(mediaId, freshId(), NOW)).toBe(false)
      await records().purgeEnded(NOW, LATER + 1, 10)
      expect(await records().endExpiredLeases(NOW, 10)).toBe(1)
      for (const each of [mediaId, source.mediaId])
        expect(await records().findMedia(each)).toMatchObject({ endedAt: NOW })
    })

    it('give a download back to every count that it was taken from, once', async () => {
      const source = await counted(2)
      const few = await forward(source.mediaId, { maxDownloads: 1 })
      const last = await forward(few.mediaId)
      const grantId = await take(last.mediaId)
      expect([await left(source.mediaId), await left(last.mediaId)]).toEqual([1, 0])
      for (let round = 0; round < 3; round += 1) await records().returnDownload(last.mediaId, grantId)
      expect([await left(source.mediaId), await left(last.mediaId)]).toEqual([2, 1])
      expect(await records().hasGrant(last.mediaId, grantId, NOW)).toBe(false)
    })

    it('are one when they are repeated with their key', async () => {
      const source = await counted(2)
      const idempotency = { clientId: 'bob', key: 'k', fingerprint: 'f', expiresAt: LATER }
      const again = () =>
        records().addLease({
          fromMediaId: source.mediaId,
          lease: newLease({ clientId: 'bob' }),
          caps: PLENTY,
          idempotency,
        })
      const [first, second] = await Promise.all([again(), again()])
      expect(second.mediaId).toBe(first.mediaId)
      await take(first.mediaId)
      await take(source.mediaId)
      expect(await again()).toMatchObject({ mediaId: first.mediaId, maxDownloads: 2, downloadsUsed: 2 })
    })

    it('never give more together than was allowed, when all are forwarded and downloaded at once', async () => {
      const source = await counted(10)
      const made = [source.mediaId]
      const pick = () => made[Math.floor(Math.random() * made.length)] ?? ''
      const begun: string[] = []
      const crowd = Array.from({ length: 64 }, async (_, index) => {
        const maxDownloads = index % 3 === 0 ? 1 + (index % 7) : null
        const mediaId = await forward(pick(), { maxDownloads }).then(
          media => media.mediaId,
          (error: unknown) => {
            expect((error as { code: string }).code).toMatch(/^(downloads_exhausted|invalid_request)$/)
            return source.mediaId
          },
        )
        made.push(mediaId)
        await takeAll([mediaId, pick()], begun)
      })
      await Promise.all(crowd)
      await takeAll(made, begun)
      expect(begun).toHaveLength(10)
      for (const mediaId of made) expect(await left(mediaId)).toBe(0)
      await records().endLease(source.mediaId, ALICE, NOW)
      for (const mediaId of made) expect(await records().findMedia(mediaId)).toMatchObject({ endedAt: NOW })
      expect(await records().auditUsage(false)).toEqual([])
    })

    it('cannot be made or downloaded past its end, however these race', async () => {
      for (let round = 0; round < 10; round += 1) {
        const source = await counted(50)
        const made: string[] = []
        const crowd = Array.from({ length: 16 }, () =>
          forward(source.mediaId).then(
            media => made.push(media.mediaId),
            (error: unknown) => expect(error).toMatchObject({ code: 'gone' }),
          ),
        )
        await Promise.all([...crowd, records().endLease(source.mediaId, ALICE, NOW)])
        for (const mediaId of made) {
          expect(await records().findMedia(mediaId)).toMatchObject({ endedAt: NOW })
          await expect(take(mediaId)).rejects.toMatchObject({ code: 'gone' })
        }
      }
    })

    it('may be of each other ever fewer only a few times, and as many times as they like otherwise', async () => {
      let from = await counted(100)
      for (let index = 1; index < 8; index += 1) from = await forward(from.mediaId, { maxDownloads: 100 - index })
      await expect(forward(from.mediaId, { maxDownloads: 1 })).rejects.toMatchObject({ code: 'invalid_request' })
      for (let index = 0; index < 20; index += 1) from = await forward(from.mediaId)
      await take(from.mediaId)
      expect(await left(from.mediaId)).toBe(92)
    })
  })

  it('forwards of a lease whose downloads are not counted outlive it, with counts of their own', async () => {
    const source = await completeMedia(records(), 10, { lease: { expiresAt: NOW + 60 } })
    const mine = await forward(source.mediaId, { maxDownloads: 2 })
    expect(mine).toMatchObject({ maxDownloads: 2, downloadsUsed: 0, expiresAt: LATER })
    await records().endLease(source.mediaId, ALICE, NOW)
    await take(mine.mediaId)
    expect(await left(mine.mediaId)).toBe(1)
    expect(await records().findMedia(mine.mediaId)).toMatchObject({ endedAt: null })
  })
}
