import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { isSealiftError } from '../../../src/protocol/errors.ts'
import { MAX_PART_INDEX } from '../../../src/protocol/ids.ts'
import { seededRandom } from '../../support/random.ts'
import { LATER, newUpload, PART, PLENTY, putParts } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

export function partsContract(records: Records): void {
  describe('parts', () => {
    it('of a declared size reserve nothing more', async () => {
      const upload = await records().beginUpload(newUpload({ declaredBytes: 150 }))
      expect(await records().reservePart(upload.uploadId, { index: 1, sizeBytes: 50 }, PLENTY)).toBeNull()
      expect(await records().usage('alice')).toMatchObject({ reservedBytes: 150 })
    })

    it('of an unknown size reserve their own; a second reservation replaces the first', async () => {
      const { uploadId, blobId } = await records().beginUpload(newUpload())
      const reserve = (sizeBytes: number) => records().reservePart(uploadId, { index: 0, sizeBytes }, PLENTY)
      await reserve(100)
      await reserve(40)
      expect(await records().usage('alice')).toMatchObject({ reservedBytes: 40 })
      await reserve(60)
      expect(await records().usage('alice')).toMatchObject({ reservedBytes: 60 })
      expect(await records().listParts(blobId)).toEqual([{ index: 0, sizeBytes: 60, durable: false }])
    })

    it('release the excess reservation when they turn out smaller', async () => {
      const { uploadId } = await records().beginUpload(newUpload())
      await records().reservePart(uploadId, { index: 0, sizeBytes: 100 }, PLENTY)
      await records().recordPart(uploadId, { index: 0, sizeBytes: 30 }, LATER)
      expect(await records().usage('alice')).toMatchObject({ reservedBytes: 30 })
    })

    it('are never taken for more than was reserved', async () => {
      const { uploadId } = await records().beginUpload(newUpload())
      await records().reservePart(uploadId, { index: 0, sizeBytes: 30 }, PLENTY)
      await expect(records().recordPart(uploadId, { index: 0, sizeBytes: 31 }, LATER)).rejects.toMatchObject({
        code: 'size_mismatch',
      })
      await expect(records().recordPart(uploadId, { index: 1, sizeBytes: 1 }, LATER)).rejects.toMatchObject({
        code: 'size_mismatch',
      })
    })

    it.each([
      ['quota_exceeded', { storedBytes: 149 }],
      ['too_many_pending', { pendingBytes: 149 }],
    ])('of an unknown size are refused with %s at the first byte too many', async (code, caps) => {
      const { uploadId } = await records().beginUpload(newUpload())
      const reserve = (index: number, sizeBytes: number) =>
        records().reservePart(uploadId, { index, sizeBytes }, { ...PLENTY, ...caps })
      await reserve(0, 100)
      await expect(reserve(1, 50)).rejects.toMatchObject({ code })
      await reserve(1, 49)
      expect(await records().usage('alice')).toMatchObject({ reservedBytes: 149 })
    })

    it('of an unknown size are refused at any index whose bytes no limit allows, and only there', async () => {
      const cap = fc.integer({ min: 1, max: 20 * PART })
      const caps = fc.record({ maxBytes: cap, pendingBytes: cap, storedBytes: cap })
      const index = fc.oneof(fc.nat({ max: 25 }), fc.nat({ max: MAX_PART_INDEX }))
      await fc.assert(
        fc.asyncProperty(caps, index, fc.integer({ min: 1, max: PART }), async (limits, at, sizeBytes) => {
          const quota = { ...PLENTY, ...limits }
          const { uploadId, blobId } = await records().beginUpload(newUpload({ caps: quota }))
          const part = { index: at, sizeBytes }
          const within = at * PART + sizeBytes <= Math.min(limits.maxBytes, limits.pendingBytes, limits.storedBytes)
          for (const reserve of [
            () => records().reservePart(uploadId, part, quota),
            () => records().reservePresignedPart(uploadId, { ...part, until: LATER }, quota),
          ]) {
            const refusedBy = await reserve().then(
              () => null,
              (error: unknown) => (isSealiftError(error) ? error.context.limit : error),
            )
            expect(within ? [null] : ['maxBytes', 'pendingBytes', 'storedBytes']).toContain(refusedBy)
          }
          expect(await records().listParts(blobId)).toHaveLength(within ? 1 : 0)
          await records().abortUpload(uploadId, LATER)
          expect(await records().usage('alice')).toMatchObject({ reservedBytes: 0 })
          await records().releasePresignedCharge(uploadId, LATER)
        }),
        { numRuns: 60 },
      )
    })

    it('far beyond the end of a declared size do not exist', async () => {
      const { uploadId } = await records().beginUpload(newUpload({ declaredBytes: 150 }))
      for (const index of [2, 3, 1_000_000, MAX_PART_INDEX]) {
        await expect(records().reservePart(uploadId, { index, sizeBytes: 50 }, PLENTY)).rejects.toMatchObject({
          code: 'size_mismatch',
        })
      }
    })

    it('of an unknown size are refused when the media grows larger than one may be', async () => {
      const { uploadId } = await records().beginUpload(newUpload({ caps: { maxBytes: 149 } }))
      await records().reservePart(uploadId, { index: 0, sizeBytes: 100 }, PLENTY)
      await expect(records().reservePart(uploadId, { index: 1, sizeBytes: 50 }, PLENTY)).rejects.toMatchObject({
        code: 'too_large',
      })
    })

    it('that are durable are listed, and never change', async () => {
      for (const declaredBytes of [null, 200]) {
        const upload = await records().beginUpload(newUpload({ declaredBytes }))
        await putParts(records(), upload, { 0: 100 })
        const durable = { index: 0, sizeBytes: 100, durable: true }
        expect(await records().reservePart(upload.uploadId, { index: 0, sizeBytes: 100 }, PLENTY)).toEqual(durable)
        expect(await records().reservePart(upload.uploadId, { index: 0, sizeBytes: 99 }, PLENTY)).toEqual(durable)
        await records().recordPart(upload.uploadId, { index: 0, sizeBytes: 100 }, LATER)
        await expect(records().recordPart(upload.uploadId, { index: 0, sizeBytes: 99 }, LATER)).rejects.toMatchObject({
          code: 'part_conflict',
        })
      }
    })

    it.each([
      ['short', 0, 99],
      ['long', 0, 101],
      ['past the end', 3, 1],
      ['a last one of the wrong size', 2, 100],
    ])('of a declared size must have the size of their place: %s', async (_, index, sizeBytes) => {
      const { uploadId } = await records().beginUpload(newUpload({ declaredBytes: 250 }))
      const part = { index, sizeBytes }
      await expect(records().reservePart(uploadId, part, PLENTY)).rejects.toMatchObject({ code: 'size_mismatch' })
      await expect(records().recordPart(uploadId, part, LATER)).rejects.toMatchObject({ code: 'size_mismatch' })
    })

    it('of an unknown size may be short only at the end', async () => {
      const first = await records().beginUpload(newUpload())
      await putParts(records(), first, { 1: 50 })
      await expect(records().reservePart(first.uploadId, { index: 2, sizeBytes: 10 }, PLENTY)).rejects.toMatchObject({
        code: 'size_mismatch',
      })
      const second = await records().beginUpload(newUpload())
      await putParts(records(), second, { 1: 100 })
      await expect(records().reservePart(second.uploadId, { index: 0, sizeBytes: 50 }, PLENTY)).rejects.toMatchObject({
        code: 'size_mismatch',
      })
    })

    it('two that were reserved together but cannot stand together are not both recorded', async () => {
      const { uploadId } = await records().beginUpload(newUpload())
      await records().reservePart(uploadId, { index: 0, sizeBytes: 50 }, PLENTY)
      await records().reservePart(uploadId, { index: 1, sizeBytes: 100 }, PLENTY)
      await records().recordPart(uploadId, { index: 1, sizeBytes: 100 }, LATER)
      await expect(records().recordPart(uploadId, { index: 0, sizeBytes: 50 }, LATER)).rejects.toMatchObject({
        code: 'size_mismatch',
      })
    })

    it('keep the upload alive', async () => {
      const { uploadId } = await records().beginUpload(newUpload({ declaredBytes: 100 }))
      await records().recordPart(uploadId, { index: 0, sizeBytes: 100 }, LATER + 5)
      expect(await records().findUpload(uploadId)).toMatchObject({ expiresAt: LATER + 5 })
    })

    it('are listed in order, whatever the order they came in', async () => {
      const upload = await records().beginUpload(newUpload({ declaredBytes: 350 }))
      await putParts(records(), upload, { 3: 50, 1: 100 })
      await putParts(records(), upload, { 0: 100 })
      expect((await records().listParts(upload.blobId)).map(part => part.index)).toEqual([0, 1, 3])
    })

    it('are found one by one, durable or merely reserved', async () => {
      const { uploadId, blobId } = await records().beginUpload(newUpload())
      const find = (index: number) => records().findPart(blobId, index)
      await records().reservePart(uploadId, { index: 1, sizeBytes: 70 }, PLENTY)
      expect(await find(1)).toEqual({ index: 1, sizeBytes: 70, durable: false })
      await records().recordPart(uploadId, { index: 1, sizeBytes: 70 }, LATER)
      expect(await find(1)).toEqual({ index: 1, sizeBytes: 70, durable: true })
      expect(await find(0)).toBeNull()
    })

    it.each([1, 2, 3])('make up a durable prefix that is always right (seed %i)', async seed => {
      const random = seededRandom(seed)
      const upload = await records().beginUpload(newUpload({ declaredBytes: 150 * PART - 1 }))
      const stored = new Set<number>()
      for (const index of random.shuffle(Array.from({ length: 150 }, (_, position) => position))) {
        const sizeBytes = index === 149 ? PART - 1 : PART
        await records().recordPart(upload.uploadId, { index, sizeBytes }, LATER)
        stored.add(index)
        let prefix = 0
        while (stored.has(prefix)) prefix += 1
        const expected = prefix === 150 ? 150 * PART - 1 : prefix * PART
        expect(await records().durablePrefix(upload.blobId)).toBe(expected)
      }
    })

    it('recorded in parallel are all there', async () => {
      const upload = await records().beginUpload(newUpload({ declaredBytes: 64 * PART }))
      const indices = Array.from({ length: 64 }, (_, index) => index)
      await Promise.all(indices.map(index => records().recordPart(upload.uploadId, { index, sizeBytes: PART }, LATER)))
      expect(await records().durablePrefix(upload.blobId)).toBe(64 * PART)
      await records().finalizeUpload(upload.uploadId, 64 * PART)
    })
  })
}
