import { describe, expect, it } from 'vitest'

import { freshId } from '../../support/blob-bytes.ts'
import { completeMedia, LATER, NOW } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

export function downloadsContract(records: Records): void {
  describe('downloads', () => {
    const take = (mediaId: string, grantId: string, now = NOW) =>
      records().takeDownload(mediaId, { grantId, expiresAt: NOW + 100 }, now)

    it('are counted exactly under two hundred at once', async () => {
      const media = await completeMedia(records(), 10, { lease: { maxDownloads: 17 } })
      const grants = Array.from({ length: 200 }, (_, index) => `grant-${index}`)
      const outcomes = await Promise.allSettled(grants.map(grant => take(media.mediaId, grant)))
      const taken = grants.filter((_, index) => outcomes[index]?.status === 'fulfilled')
      expect(taken).toHaveLength(17)
      const refused = outcomes.flatMap(outcome => (outcome.status === 'rejected' ? [outcome.reason] : []))
      for (const reason of refused) expect(reason).toMatchObject({ code: 'downloads_exhausted' })
      expect(await records().findMedia(media.mediaId)).toMatchObject({ downloadsUsed: 17 })
      const known = await Promise.all(grants.map(grant => records().hasGrant(media.mediaId, grant, NOW)))
      expect(grants.filter((_, index) => known[index])).toEqual(taken)
    })

    it('taken and returned at once never exceed what is allowed', async () => {
      const media = await completeMedia(records(), 10, { lease: { maxDownloads: 3 } })
      let held = 0
      let mostHeld = 0
      const reader = async (index: number) => {
        for (let round = 0; round < 5; round++) {
          const grant = `${index}-${round}`
          const taken = await take(media.mediaId, grant).then(
            () => true,
            () => false,
          )
          if (!taken) continue
          mostHeld = Math.max(mostHeld, (held += 1))
          held -= 1
          await records().returnDownload(media.mediaId, grant)
        }
      }
      await Promise.all(Array.from({ length: 20 }, (_, index) => reader(index)))
      expect(mostHeld).toBeLessThanOrEqual(3)
      expect(await records().findMedia(media.mediaId)).toMatchObject({ downloadsUsed: 0 })
    })

    it('returned may be taken again; returning one twice, or one never taken, changes nothing', async () => {
      const media = await completeMedia(records(), 10, { lease: { maxDownloads: 1 } })
      await take(media.mediaId, 'a')
      await expect(take(media.mediaId, 'b')).rejects.toMatchObject({ code: 'downloads_exhausted' })
      await records().returnDownload(media.mediaId, 'never')
      await records().returnDownload(media.mediaId, 'a')
      await records().returnDownload(media.mediaId, 'a')
      expect(await records().hasGrant(media.mediaId, 'a', NOW)).toBe(false)
      await take(media.mediaId, 'b')
      await expect(take(media.mediaId, 'c')).rejects.toMatchObject({ code: 'downloads_exhausted' })
    })

    it('of a media item without a limit are not counted, and leave no grant', async () => {
      const media = await completeMedia(records(), 10)
      await take(media.mediaId, 'a')
      expect(await records().findMedia(media.mediaId)).toMatchObject({ downloadsUsed: 0 })
      expect(await records().hasGrant(media.mediaId, 'a', NOW)).toBe(false)
    })

    it('are refused once the lease has ended or expired', async () => {
      const ended = await completeMedia(records(), 10, { lease: { maxDownloads: 5 } })
      await records().endLease(ended.mediaId, { clientId: 'alice', ownerHash: null }, NOW)
      await expect(take(ended.mediaId, 'a')).rejects.toMatchObject({ code: 'gone' })
      const expired = await completeMedia(records(), 10, { lease: { maxDownloads: 5 } })
      await expect(take(expired.mediaId, 'a', LATER)).rejects.toMatchObject({ code: 'gone' })
      await expect(take(freshId(), 'a')).rejects.toMatchObject({ code: 'gone' })
    })

    it('are known by their grant until it lapses, and for their media only', async () => {
      const [media, other] = [
        await completeMedia(records(), 10, { lease: { maxDownloads: 5 } }),
        await completeMedia(records(), 10, { lease: { maxDownloads: 5 } }),
      ]
      await take(media.mediaId, 'a')
      expect(await records().hasGrant(media.mediaId, 'a', NOW + 99)).toBe(true)
      expect(await records().hasGrant(media.mediaId, 'a', NOW + 100)).toBe(false)
      expect(await records().hasGrant(other.mediaId, 'a', NOW)).toBe(false)
    })
  })
}
