import { describe, expect, it } from 'vitest'

import type { UploadRecord } from '../../../src/server/records/record-types.ts'
import { newLease, newUpload, NOW, PART, PLENTY } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

const UNTIL = NOW + 500
const ALICE = { clientId: 'alice', ownerHash: null }
const WHOLE = { index: 0, sizeBytes: PART }

export function presignedContract(records: Records): void {
  const begin = (declaredBytes: number | null) => records().beginUpload(newUpload({ declaredBytes }))
  const address = ({ uploadId }: UploadRecord, part = WHOLE, until = UNTIL) =>
    records().reservePresignedPart(uploadId, { ...part, until }, PLENTY)
  const put = async ({ uploadId, expiresAt }: UploadRecord, part = WHOLE) => {
    await records().reservePart(uploadId, part, PLENTY)
    await records().recordPart(uploadId, part, expiresAt)
  }
  const complete = async ({ uploadId }: UploadRecord, sizeBytes: number) => {
    await records().finalizeUpload(uploadId, sizeBytes)
    return records().finishUpload(uploadId, NOW)
  }
  const usage = async () => {
    const { storedBytes, reservedBytes, pendingUploads } = await records().usage('alice')
    expect(await records().auditUsage(false)).toEqual([])
    return [storedBytes, reservedBytes, pendingUploads]
  }
  const held = async (now: number) =>
    (await records().listPresignedCharges(now, null, 10)).map(({ uploadId }) => uploadId)

  describe('bytes that addresses may bring', () => {
    it('stay charged as stored when the upload is given up, until the addresses have expired', async () => {
      const upload = await begin(3 * PART)
      await address(upload)
      expect(await records().findUpload(upload.uploadId)).toMatchObject({ presignedUntil: UNTIL })
      await records().abortUpload(upload.uploadId, NOW + 1)
      expect(await usage()).toMatchObject([3 * PART, 0, 0])
      const caps = { ...PLENTY, storedBytes: 4 * PART - 1 }
      const refused = records().beginUpload(newUpload({ declaredBytes: PART, caps }))
      await expect(refused).rejects.toMatchObject({ code: 'quota_exceeded' })
      expect(await held(UNTIL - 1)).toEqual([])
      await records().releasePresignedCharge(upload.uploadId, UNTIL - 1)
      expect(await usage()).toMatchObject([3 * PART, 0, 0])
      expect(await records().listPresignedCharges(UNTIL, null, 10)).toMatchObject([
        { uploadId: upload.uploadId, blob: { blobId: upload.blobId, partBytes: PART }, deleted: true },
      ])
      await records().releasePresignedCharge(upload.uploadId, UNTIL)
      await records().releasePresignedCharge(upload.uploadId, UNTIL)
      expect(await held(UNTIL)).toEqual([])
      expect(await usage()).toMatchObject([0, 0, 0])
    })

    it('are no longer charged when the upload ends after they have expired, or had no address', async () => {
      const late = await begin(PART)
      await address(late)
      await records().abortUpload(late.uploadId, UNTIL)
      await records().abortUpload((await begin(PART)).uploadId, NOW)
      expect(await usage()).toMatchObject([0, 0, 0])
      expect(await held(UNTIL)).toEqual([])
    })

    it('stay charged when an upload expires, too', async () => {
      const upload = await records().beginUpload(newUpload({ declaredBytes: PART, expiresAt: NOW + 10 }))
      await address(upload)
      expect(await records().abortExpiredUploads(NOW + 10, 10)).toBe(1)
      expect(await usage()).toMatchObject([PART, 0, 0])
      expect(await held(UNTIL)).toEqual([upload.uploadId])
    })

    it('stay charged past the end of a complete media', async () => {
      const upload = await begin(null)
      await put(upload, { index: 0, sizeBytes: 7 })
      const other = await begin(null)
      await address(other, { index: 3, sizeBytes: PART })
      await put(other, { index: 0, sizeBytes: 9 })
      await complete(upload, 7)
      await complete(other, 9)
      expect(await usage()).toMatchObject([7 + 9 + PART, 0, 0])
      expect(await records().listPresignedCharges(UNTIL, null, 10)).toMatchObject([
        { uploadId: other.uploadId, blob: { state: 'complete', sizeBytes: 9 }, deleted: false },
      ])
      await records().releasePresignedCharge(other.uploadId, UNTIL)
      expect(await usage()).toMatchObject([7 + 9, 0, 0])
    })

    it("are all that a media item held, when it ends before they have expired, and are its sender's", async () => {
      const upload = await begin(PART)
      await address(upload)
      await put(upload)
      const media = await complete(upload, PART)
      expect(await usage()).toMatchObject([PART, 0, 0])
      const bob = newLease({ clientId: 'bob' })
      await records().addLease({ fromMediaId: media.mediaId, lease: bob, caps: PLENTY, idempotency: null })
      await records().endLease(media.mediaId, ALICE, NOW)
      // Alice holds nothing now, and is forgotten.
      await records().purgeEnded(NOW, NOW, 10)
      expect(await usage()).toMatchObject([0, 0, 0])
      await records().endLease(bob.mediaId, { clientId: 'bob', ownerHash: null }, NOW)
      expect(await records().usage('bob')).toMatchObject({ storedBytes: 0 })
      expect(await usage()).toMatchObject([PART, 0, 0])
      // Nothing of it is forgotten meanwhile, however short ended media are remembered.
      await records().purgeBlob(upload.blobId)
      await records().purgeEnded(UNTIL, UNTIL - 1, 10)
      expect(await held(UNTIL)).toEqual([upload.uploadId])
      await records().releasePresignedCharge(upload.uploadId, UNTIL)
      expect(await usage()).toMatchObject([0, 0, 0])
      await records().purgeEnded(UNTIL, UNTIL, 10)
      expect(await records().findUpload(upload.uploadId)).toBeNull()
    })

    it('stay reserved while the upload goes on: an older address may be for more', async () => {
      const upload = await begin(null)
      await address(upload, { index: 1, sizeBytes: PART })
      await address(upload, { index: 1, sizeBytes: 1 })
      expect(await usage()).toMatchObject([0, PART, 1])
      await records().reservePart(upload.uploadId, { index: 1, sizeBytes: 2 }, PLENTY)
      await records().recordPart(upload.uploadId, { index: 1, sizeBytes: 2 }, upload.expiresAt)
      expect(await usage()).toMatchObject([0, PART, 1])
      await records().abortUpload(upload.uploadId, NOW)
      expect(await usage()).toMatchObject([PART, 0, 0])
    })

    it('are listed upload by upload', async () => {
      const ids: string[] = []
      for (let count = 0; count < 3; count += 1) {
        const upload = await begin(PART)
        await address(upload)
        await records().abortUpload(upload.uploadId, NOW)
        ids.push(upload.uploadId)
      }
      const [first, second, third] = ids.sort()
      const page = async (after: string | null) =>
        (await records().listPresignedCharges(UNTIL, after, 2)).map(({ uploadId }) => uploadId)
      expect(await page(null)).toEqual([first, second])
      expect(await page(second ?? null)).toEqual([third])
    })

    it('keep the latest time that was recorded', async () => {
      const upload = await begin(null)
      await address(upload, WHOLE, UNTIL)
      await address(upload, WHOLE, UNTIL - 100)
      expect(await records().findUpload(upload.uploadId)).toMatchObject({ presignedUntil: UNTIL })
    })

    it('take no address once the part is durable, or the upload is over', async () => {
      const upload = await begin(PART)
      await put(upload)
      expect(await address(upload)).toEqual({ ...WHOLE, durable: true })
      expect(await records().findUpload(upload.uploadId)).toMatchObject({ presignedUntil: null })
      await complete(upload, PART)
      await expect(address(upload)).rejects.toMatchObject({ code: 'upload_complete' })
      const aborted = await begin(PART)
      await records().abortUpload(aborted.uploadId, NOW)
      await expect(address(aborted)).rejects.toMatchObject({ code: 'gone' })
    })
  })
}
