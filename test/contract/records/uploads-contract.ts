import { describe, expect, it } from 'vitest'

import type { Idempotency } from '../../../src/server/records/record-types.ts'
import { freshId } from '../../support/blob-bytes.ts'
import { completeMedia, LATER, newUpload, NOW, PART, PLENTY, putParts } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

const key = (fingerprint: string, name = 'key'): Idempotency => ({
  clientId: 'alice',
  key: name,
  fingerprint,
  expiresAt: LATER,
})

export function uploadsContract(records: Records): void {
  describe('uploads', () => {
    it('begins one that is found again, with its media readable at once', async () => {
      const made = newUpload({ declaredBytes: 250, lease: { ownerHash: 'ab', maxDownloads: 3 } })
      const upload = await records().beginUpload(made)
      expect(upload).toEqual({
        uploadId: made.uploadId,
        blobId: made.blobId,
        presignedUntil: null,
        mediaId: made.lease.mediaId,
        clientId: 'alice',
        ownerHash: 'ab',
        partBytes: PART,
        declaredBytes: 250,
        state: 'uploading',
        sizeBytes: null,
        expiresAt: LATER,
        maxBytes: PLENTY.maxBytes,
      })
      expect(await records().findUpload(made.uploadId)).toEqual(upload)
      expect(await records().findMedia(made.lease.mediaId)).toMatchObject({
        state: 'uploading',
        sizeBytes: 250,
        maxDownloads: 3,
        downloadsUsed: 0,
        endedAt: null,
        blobId: made.blobId,
      })
      expect(await records().usage('alice')).toMatchObject({ storedBytes: 0, reservedBytes: 250, pendingUploads: 1 })
    })

    it('knows nothing of what never was', async () => {
      expect(await records().findUpload(freshId())).toBeNull()
      expect(await records().findMedia(freshId())).toBeNull()
      expect(await records().listParts(freshId())).toEqual([])
      expect(await records().durablePrefix(freshId())).toBe(0)
      await expect(records().finalizeUpload(freshId(), 1)).rejects.toMatchObject({ code: 'not_found' })
    })

    it.each([
      ['quota_exceeded', { storedBytes: 99 }],
      ['too_many_pending', { pendingBytes: 99 }],
      ['too_many_pending', { pendingUploads: 0 }],
      ['too_large', { maxBytes: 99 }],
    ])('refuses one with %s, and reserves nothing for it', async (code, caps) => {
      await expect(records().beginUpload(newUpload({ declaredBytes: 100, caps }))).rejects.toMatchObject({ code })
      expect(await records().usage('alice')).toMatchObject({ storedBytes: 0, reservedBytes: 0, pendingUploads: 0 })
      await records().beginUpload(newUpload({ declaredBytes: 100, caps: { storedBytes: 100, pendingBytes: 100 } }))
    })

    it('reports which limit refused, its value, and what is left of it', async () => {
      await records().beginUpload(newUpload({ declaredBytes: 60 }))
      await expect(
        records().beginUpload(newUpload({ declaredBytes: 60, caps: { storedBytes: 100 } })),
      ).rejects.toMatchObject({ context: { limit: 'storedBytes', value: 100, remaining: 40 } })
    })

    describe('made with an idempotency key', () => {
      it('are the same when repeated, and charged once', async () => {
        const first = newUpload({ declaredBytes: 10, idempotency: key('f') })
        const second = newUpload({ declaredBytes: 10, idempotency: key('f') })
        const made = await Promise.all([records().beginUpload(first), records().beginUpload(second)])
        expect(made[1]).toEqual(made[0])
        expect(await records().beginUpload(newUpload({ idempotency: key('f') }))).toEqual(made[0])
        expect(await records().usage('alice')).toMatchObject({ storedBytes: 0, reservedBytes: 10, pendingUploads: 1 })
      })

      it('are refused when the key belongs to another request, but not to another client or a lapsed one', async () => {
        await records().beginUpload(newUpload({ idempotency: key('f') }))
        await expect(records().beginUpload(newUpload({ idempotency: key('g') }))).rejects.toMatchObject({
          code: 'idempotency_conflict',
        })
        const others = newUpload({ idempotency: { ...key('g'), clientId: 'bob' } })
        expect((await records().beginUpload(others)).uploadId).toBe(others.uploadId)
        const later = newUpload({ idempotency: key('g'), lease: { createdAt: LATER } })
        expect((await records().beginUpload(later)).uploadId).toBe(later.uploadId)
      })

      it('leave the key free when they were refused or given up', async () => {
        const refused = newUpload({ declaredBytes: 10, caps: { storedBytes: 1 }, idempotency: key('f') })
        await expect(records().beginUpload(refused)).rejects.toMatchObject({ code: 'quota_exceeded' })
        const first = await records().beginUpload(newUpload({ idempotency: key('f') }))
        await records().abortUpload(first.uploadId, NOW)
        const second = await records().beginUpload(newUpload({ idempotency: key('f') }))
        expect(second.uploadId).not.toBe(first.uploadId)
        expect((await records().beginUpload(newUpload({ idempotency: key('f') }))).uploadId).toBe(second.uploadId)
      })

      it('begin anew once, however many repeats find that the first was given up', async () => {
        for (let round = 0; round < 10; round++) {
          const idempotency = { ...key('f'), key: `given up ${round}` }
          const first = await records().beginUpload(newUpload({ idempotency }))
          await records().abortUpload(first.uploadId, NOW)
          const repeat = () => records().beginUpload(newUpload({ idempotency }))
          const repeats = await Promise.all(Array.from({ length: 8 }, repeat))
          expect(new Set(repeats.map(({ uploadId }) => uploadId)).size).toBe(1)
        }
      })
    })

    describe('completing', () => {
      it('fixes the size, then turns the reservation into a charge, once however often it is repeated', async () => {
        const upload = await records().beginUpload(newUpload())
        await putParts(records(), upload, { 0: 100, 1: 100, 2: 7 })
        const sealed = await records().finalizeUpload(upload.uploadId, 207)
        expect(sealed).toMatchObject({ state: 'completing', sizeBytes: 207 })
        expect(await records().findMedia(upload.mediaId)).toMatchObject({ state: 'uploading', sizeBytes: 207 })
        expect(await records().finalizeUpload(upload.uploadId, 207)).toMatchObject({ state: 'completing' })
        const finished = await Promise.all([1, 2, 3].map(() => records().finishUpload(upload.uploadId, NOW)))
        for (const media of finished) expect(media).toMatchObject({ state: 'complete', sizeBytes: 207 })
        expect(await records().findUpload(upload.uploadId)).toMatchObject({ state: 'complete', sizeBytes: 207 })
        expect(await records().finalizeUpload(upload.uploadId, 207)).toMatchObject({ state: 'complete' })
        expect(await records().usage('alice')).toMatchObject({ storedBytes: 207, reservedBytes: 0, pendingUploads: 0 })
        expect(await records().durablePrefix(upload.blobId)).toBe(207)
      })

      it('reports which parts are missing, as runs', async () => {
        const upload = await records().beginUpload(newUpload({ declaredBytes: 1000 }))
        await putParts(records(), upload, { 0: 100, 3: 100, 4: 100, 8: 100 })
        await expect(records().finalizeUpload(upload.uploadId, 1000)).rejects.toMatchObject({
          code: 'parts_missing',
          context: {
            missing: [
              [1, 2],
              [5, 7],
              [9, 9],
            ],
          },
        })
      })

      it('does not count a part that was only reserved', async () => {
        const upload = await records().beginUpload(newUpload())
        await putParts(records(), upload, { 0: 100 })
        await records().reservePart(upload.uploadId, { index: 1, sizeBytes: 50 }, PLENTY)
        await expect(records().finalizeUpload(upload.uploadId, 150)).rejects.toMatchObject({ code: 'parts_missing' })
        await records().finalizeUpload(upload.uploadId, 100)
        await records().finishUpload(upload.uploadId, NOW)
        expect(await records().usage('alice')).toMatchObject({ storedBytes: 100, reservedBytes: 0, pendingUploads: 0 })
      })

      it.each([
        ['more than declared', 1000, 101, { 0: 100 }],
        ['less than is stored', null, 100, { 0: 100, 1: 100 }],
        ['less than the last part', null, 150, { 0: 100, 1: 60 }],
        ['more than the last part', null, 160, { 0: 100, 1: 50 }],
      ])('refuses a size that is %s', async (_, declaredBytes, sizeBytes, parts) => {
        const upload = await records().beginUpload(newUpload({ declaredBytes }))
        await putParts(records(), upload, parts)
        await expect(records().finalizeUpload(upload.uploadId, sizeBytes)).rejects.toMatchObject({
          code: 'size_mismatch',
        })
        expect(await records().findUpload(upload.uploadId)).toMatchObject({ state: 'uploading' })
      })

      it('refuses another size once it is fixed, and finishes nothing before', async () => {
        const upload = await records().beginUpload(newUpload())
        await putParts(records(), upload, { 0: 50 })
        await expect(records().finishUpload(upload.uploadId, NOW)).rejects.toMatchObject({ code: 'upload_in_progress' })
        await records().finalizeUpload(upload.uploadId, 50)
        await expect(records().finalizeUpload(upload.uploadId, 51)).rejects.toMatchObject({ code: 'size_mismatch' })
      })

      it('takes no part any more', async () => {
        const upload = await records().beginUpload(newUpload())
        await putParts(records(), upload, { 0: 100 })
        await records().reservePart(upload.uploadId, { index: 1, sizeBytes: 10 }, PLENTY)
        await records().finalizeUpload(upload.uploadId, 100)
        const late = { index: 1, sizeBytes: 10 }
        await expect(records().recordPart(upload.uploadId, late, LATER)).rejects.toMatchObject({
          code: 'upload_complete',
        })
        await expect(records().reservePart(upload.uploadId, late, PLENTY)).rejects.toMatchObject({
          code: 'upload_complete',
        })
      })
    })

    describe('of one request', () => {
      it('are finished in one step, and again when repeated', async () => {
        const upload = await records().beginUpload(newUpload())
        await records().reservePart(upload.uploadId, { index: 0, sizeBytes: 100 }, PLENTY)
        await records().reservePart(upload.uploadId, { index: 1, sizeBytes: 100 }, PLENTY)
        const media = await records().finishInOneStep(upload.uploadId, { sizeBytes: 130, caps: PLENTY, now: NOW })
        expect(media).toMatchObject({ state: 'complete', sizeBytes: 130, mediaId: upload.mediaId })
        expect(await records().finishInOneStep(upload.uploadId, { sizeBytes: 130, caps: PLENTY, now: NOW })).toEqual(
          media,
        )
        expect(await records().usage('alice')).toMatchObject({ storedBytes: 130, reservedBytes: 0, pendingUploads: 0 })
        expect(await records().listParts(upload.blobId)).toEqual([
          { index: 0, sizeBytes: 100, durable: true },
          { index: 1, sizeBytes: 30, durable: true },
        ])
      })

      it('may exceed what was reserved only as far as the quota goes', async () => {
        const upload = await records().beginUpload(newUpload({ caps: { maxBytes: 500 } }))
        const finish = (sizeBytes: number, storedBytes: number) =>
          records().finishInOneStep(upload.uploadId, { sizeBytes, caps: { ...PLENTY, storedBytes }, now: NOW })
        await expect(finish(101, 100)).rejects.toMatchObject({ code: 'quota_exceeded' })
        await expect(finish(501, 1000)).rejects.toMatchObject({ code: 'too_large' })
        expect(await finish(100, 100)).toMatchObject({ sizeBytes: 100 })
      })

      it('keep to the declared size', async () => {
        const upload = await records().beginUpload(newUpload({ declaredBytes: 100 }))
        await expect(
          records().finishInOneStep(upload.uploadId, { sizeBytes: 99, caps: PLENTY, now: NOW }),
        ).rejects.toMatchObject({
          code: 'size_mismatch',
        })
      })
    })

    describe('given up', () => {
      it('free all they hold, end their media, and leave their bytes to be deleted; repeating it is no error', async () => {
        const upload = await records().beginUpload(newUpload({ declaredBytes: 250 }))
        await putParts(records(), upload, { 0: 100 })
        await records().abortUpload(upload.uploadId, NOW + 1)
        await records().abortUpload(upload.uploadId, NOW + 2)
        expect(await records().usage('alice')).toMatchObject({ storedBytes: 0, reservedBytes: 0, pendingUploads: 0 })
        expect(await records().findMedia(upload.mediaId)).toMatchObject({ endedAt: NOW + 1 })
        expect(await records().findUpload(upload.uploadId)).toMatchObject({ state: 'aborted' })
        expect(await records().listTombstones(10)).toEqual([{ blobId: upload.blobId }])
      })

      it('refuse every change with `gone`', async () => {
        const { uploadId } = await records().beginUpload(newUpload())
        await records().abortUpload(uploadId, NOW)
        const part = { index: 0, sizeBytes: 1 }
        const late = [
          records().reservePart(uploadId, part, PLENTY),
          records().recordPart(uploadId, part, LATER),
          records().finalizeUpload(uploadId, 1),
          records().finishUpload(uploadId, NOW),
          records().finishInOneStep(uploadId, { sizeBytes: 1, caps: PLENTY, now: NOW }),
        ]
        for (const outcome of await Promise.allSettled(late)) {
          expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'gone' } })
        }
      })

      it('are not possible once the size is fixed', async () => {
        const media = await completeMedia(records(), 10)
        const upload = await records().beginUpload(newUpload())
        await putParts(records(), upload, { 0: 10 })
        await records().finalizeUpload(upload.uploadId, 10)
        await expect(records().abortUpload(upload.uploadId, NOW)).rejects.toMatchObject({ code: 'upload_complete' })
        expect(await records().findMedia(media.mediaId)).toMatchObject({ endedAt: null })
      })
    })
  })
}
