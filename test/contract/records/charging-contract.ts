import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import type { RecordStore } from '../../../src/server/records/record-store.ts'
import type { Idempotency, QuotaCaps, UploadRecord } from '../../../src/server/records/record-types.ts'
import { freshId } from '../../support/blob-bytes.ts'
import { LATER, newLease, newParcel, newUpload, NOW, PART, PLENTY } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

const CAPS: QuotaCaps = {
  ...PLENTY,
  storedBytes: 1000,
  storedRows: 45,
  pendingUploads: 4,
  pendingBytes: 800,
  maxBytes: 500,
}
const CLIENTS = ['alice', 'bob'] as const

type Step =
  | {
      readonly do: 'begin'
      readonly client: string
      readonly declaredBytes: number | null
      readonly maxDownloads: number | null
    }
  | { readonly do: 'part' | 'address'; readonly pick: number; readonly index: number; readonly sizeBytes: number }
  | {
      readonly do: (typeof PICKING)[number]
      readonly pick: number
      readonly sizeBytes: number
    }
  | {
      readonly do: 'forward' | 'publish' | 'replace'
      readonly pick: number
      readonly client: string
      readonly maxDownloads: number | null
      readonly sizeBytes: number
    }

const pick = fc.nat({ max: 1000 })
const client = fc.constantFrom(...CLIENTS)
const maxDownloads = fc.option(fc.integer({ min: 1, max: 4 }))
const PICKING = [
  'complete',
  'whole',
  'whole',
  'abort',
  'end',
  'expire',
  'release',
  'end parcel',
  'download',
  'return download',
  'purge',
] as const
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    do: fc.constant('begin' as const),
    client,
    declaredBytes: fc.option(fc.integer({ min: 1, max: 600 })),
    maxDownloads,
  }),
  fc.record({
    do: fc.constantFrom('part' as const, 'part' as const, 'address' as const),
    pick,
    index: fc.nat({ max: 5 }),
    sizeBytes: fc.constantFrom(PART, PART, PART, 1, 37, 99),
  }),
  fc.record({
    do: fc.constantFrom(...PICKING),
    pick,
    sizeBytes: fc.integer({ min: 1, max: 500 }),
  }),
  fc.record({
    do: fc.constantFrom('forward' as const, 'publish' as const, 'replace' as const),
    pick,
    client,
    maxDownloads,
    sizeBytes: fc.integer({ min: 1, max: 400 }),
  }),
)

export function chargingContract(records: Records): void {
  describe('charging', () => {
    it('keeps charged = live + reserved, within the caps, through any sequence of steps, and 0 at the end', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async steps => {
          const world = new World(records())
          for (const each of steps) {
            await world.take(each)
            expect(await records().auditUsage(false)).toEqual([])
            for (const name of CLIENTS) await expectWithinCaps(records(), name)
          }
          await world.endAll()
          expect(await records().auditUsage(false)).toEqual([])
          for (const name of CLIENTS) expect(await records().usage(name)).toMatchObject(NOTHING)
          expect(await records().auditUsage(false)).toEqual([])
        }),
        { numRuns: 30 },
      )
    }, 180_000)

    it('is exact to the byte under sixty-four uploads at once', async () => {
      const caps = { ...PLENTY, storedBytes: 10_007 }
      const sizes = Array.from({ length: 64 }, (_, index) => 100 + index * 7)
      const tries = sizes.map(async sizeBytes => {
        const upload = await records().beginUpload(newUpload({ declaredBytes: sizeBytes, caps }))
        await records().finishInOneStep(upload.uploadId, { sizeBytes, caps, now: NOW })
        return sizeBytes
      })
      const stored = (await Promise.allSettled(tries)).flatMap(outcome =>
        outcome.status === 'fulfilled' ? outcome.value : [],
      )
      const storedBytes = stored.reduce((sum, sizeBytes) => sum + sizeBytes, 0)
      expect(await records().usage('alice')).toMatchObject({ storedBytes, reservedBytes: 0, pendingUploads: 0 })
      expect(storedBytes).toBeLessThanOrEqual(10_007)
      const refused = sizes.filter(sizeBytes => !stored.includes(sizeBytes))
      for (const sizeBytes of refused) expect(storedBytes + sizeBytes).toBeGreaterThan(10_007)
      const leftBytes = 10_007 - storedBytes
      await expect(records().beginUpload(newUpload({ declaredBytes: leftBytes + 1, caps }))).rejects.toMatchObject({
        code: 'quota_exceeded',
      })
      if (leftBytes > 0) await records().beginUpload(newUpload({ declaredBytes: leftBytes, caps }))
    })

    it('is exact to the byte when sixty-four uploads of unknown size take parts at once', async () => {
      const caps = { ...PLENTY, storedBytes: 5050 }
      const uploads = await Promise.all(Array.from({ length: 64 }, () => records().beginUpload(newUpload({ caps }))))
      const reserved = uploads.flatMap(({ uploadId }) =>
        [0, 1, 2].map(index => records().reservePart(uploadId, { index, sizeBytes: PART }, caps)),
      )
      const taken = (await Promise.allSettled(reserved)).filter(outcome => outcome.status === 'fulfilled')
      expect(taken).toHaveLength(50)
      expect(await records().usage('alice')).toMatchObject({ reservedBytes: 5000 })
      expect(await records().auditUsage(false)).toEqual([])
    })

    it('takes as many unfinished uploads as may be, and not one more, when two hundred begin at once', async () => {
      const caps = { pendingUploads: 13 }
      const begun = await Promise.allSettled(
        Array.from({ length: 200 }, () => records().beginUpload(newUpload({ caps }))),
      )
      expect(begun.filter(outcome => outcome.status === 'fulfilled')).toHaveLength(13)
      expect(await records().usage('alice')).toMatchObject({ pendingUploads: 13 })
    })
  })
}

const ADDRESS_MS = 50
const NOTHING = { storedBytes: 0, storedRows: 0, reservedBytes: 0, pendingUploads: 0 }

async function expectWithinCaps(records: RecordStore, clientId: string): Promise<void> {
  const { storedBytes, storedRows, reservedBytes, pendingUploads } = await records.usage(clientId)
  expect(storedRows).toBeLessThanOrEqual(CAPS.storedRows)
  expect(Math.min(storedBytes, storedRows, reservedBytes, pendingUploads)).toBeGreaterThanOrEqual(0)
  expect(storedBytes + reservedBytes).toBeLessThanOrEqual(CAPS.storedBytes)
  expect(reservedBytes).toBeLessThanOrEqual(CAPS.pendingBytes)
  expect(pendingUploads).toBeLessThanOrEqual(CAPS.pendingUploads)
}

type Making = Extract<Step, { do: 'forward' | 'publish' | 'replace' }>

function keyOf(clientId: string): Idempotency {
  return { clientId, key: freshId(), fingerprint: 'f', expiresAt: NOW + 10 }
}

/** Takes steps that may well be refused; refusals are part of the game. */
class World {
  readonly #records: RecordStore
  readonly #uploads: UploadRecord[] = []
  readonly #leases: { readonly mediaId: string; readonly clientId: string }[] = []
  readonly #parcels: { readonly parcelId: string; readonly clientId: string; readonly media: string[] }[] = []
  readonly #grants: { readonly mediaId: string; readonly grantId: string }[] = []

  constructor(records: RecordStore) {
    this.#records = records
  }

  async take(step: Step): Promise<void> {
    try {
      await this.#take(step)
    } catch (error) {
      if (!(error instanceof Error && error.name === 'SealiftError')) throw error
    }
  }

  async endAll(): Promise<void> {
    for (const { mediaId, clientId } of this.#leases) {
      if (await this.#records.findMedia(mediaId))
        await this.#records.endLease(mediaId, { clientId, ownerHash: null }, NOW)
    }
    for (const { parcelId, clientId } of this.#parcels) {
      if (!(await this.#records.findParcel(parcelId))) continue
      await this.#records.endParcel(parcelId, { clientId, ownerHash: null }, NOW)
    }
    await this.#release(1000)
    await this.#purge()
  }

  /** All that has ended, and all keys and grants. */
  async #purge(): Promise<void> {
    for (const { blobId } of await this.#records.listTombstones(1000)) await this.#records.purgeBlob(blobId)
    while ((await this.#records.purgeEnded(LATER, LATER, 50)) > 0);
  }

  /** What addresses may bring is looked at again when they have expired. */
  async #release(batch: number): Promise<void> {
    for (const { uploadId } of await this.#records.listPresignedCharges(NOW + ADDRESS_MS, null, batch)) {
      await this.#records.releasePresignedCharge(uploadId, NOW + ADDRESS_MS)
    }
  }

  async #take(step: Step): Promise<void> {
    if (step.do === 'begin') return this.#begin(step)
    if (step.do === 'forward') return this.#forward(step)
    if (step.do === 'publish') return this.#publish(step)
    if (step.do === 'replace') return this.#replace(step)
    if (step.do === 'end') return this.#end(step.pick)
    if (step.do === 'end parcel') return this.#endParcel(step.pick)
    if (step.do === 'download') return this.#download(step.pick)
    if (step.do === 'return download') return this.#returnDownload(step.pick)
    if (step.do === 'purge') return this.#purge()
    const upload = this.#uploads[step.pick % Math.max(1, this.#uploads.length)]
    if (!upload) return
    const { uploadId } = upload
    if (step.do === 'part') {
      const part = { index: step.index, sizeBytes: step.sizeBytes }
      await this.#records.reservePart(uploadId, part, CAPS)
      // Some parts are reserved and never arrive.
      if (step.pick % 3 > 0) await this.#records.recordPart(uploadId, part, NOW + step.pick)
    } else if (step.do === 'address') {
      const until = step.pick % 3 > 0 ? NOW + ADDRESS_MS : NOW
      await this.#records.reservePresignedPart(uploadId, { index: step.index, sizeBytes: step.sizeBytes, until }, CAPS)
    } else if (step.do === 'release') {
      await this.#release(2)
    } else if (step.do === 'complete') {
      await this.#complete(upload, step.pick)
    } else if (step.do === 'whole') {
      await this.#records.finishInOneStep(uploadId, {
        sizeBytes: upload.declaredBytes ?? step.sizeBytes,
        caps: CAPS,
        now: NOW,
      })
    } else if (step.do === 'abort') {
      await this.#records.abortUpload(uploadId, NOW)
    } else {
      await this.#records.abortExpiredUploads(NOW + step.pick, 2)
    }
  }

  async #begin({ client: clientId, declaredBytes, maxDownloads }: Extract<Step, { do: 'begin' }>): Promise<void> {
    const lease = { clientId, maxDownloads }
    const made = newUpload({ declaredBytes, expiresAt: NOW + 900, lease, caps: CAPS, idempotency: keyOf(clientId) })
    this.#uploads.push(await this.#records.beginUpload(made))
    this.#leases.push({ mediaId: made.lease.mediaId, clientId })
  }

  async #complete({ uploadId, blobId }: UploadRecord, pick: number): Promise<void> {
    await this.#records.finalizeUpload(uploadId, await this.#records.durablePrefix(blobId))
    if (pick % 4 > 0) await this.#records.finishUpload(uploadId, NOW)
  }

  async #forward({ pick, client: clientId, maxDownloads }: Making): Promise<void> {
    const from = this.#leases[pick % Math.max(1, this.#leases.length)]
    if (!from) return
    const mediaId = freshId()
    await this.#records.addLease({
      fromMediaId: from.mediaId,
      lease: newLease({ mediaId, clientId, maxDownloads }),
      caps: CAPS,
      idempotency: keyOf(clientId),
    })
    this.#leases.push({ mediaId, clientId })
  }

  async #publish({ client: clientId, sizeBytes }: Making): Promise<void> {
    const media = this.#leases.filter(lease => lease.clientId === clientId).map(lease => lease.mediaId)
    const manifest = Buffer.alloc(sizeBytes)
    const parcel = newParcel(media.slice(0, 3), { clientId, manifest, caps: CAPS, idempotency: keyOf(clientId) })
    await this.#records.publishParcel(parcel, { clientId, ownerHash: null })
    this.#parcels.push({ parcelId: parcel.parcelId, clientId, media: [...parcel.media] })
  }

  async #replace({ pick, sizeBytes }: Making): Promise<void> {
    const parcel = this.#parcels[pick % Math.max(1, this.#parcels.length)]
    const facts = parcel && (await this.#records.findParcel(parcel.parcelId))
    if (!parcel || !facts) return
    const { parcelId, clientId } = parcel
    const more = this.#leases.filter(lease => lease.clientId === clientId).map(lease => lease.mediaId)
    const media = [...new Set([...parcel.media, ...more.slice(-1)])]
    const next = { ifVersion: facts.version, manifest: Buffer.alloc(sizeBytes), media, caps: CAPS }
    await this.#records.replaceManifest(parcelId, { ...next, now: NOW }, { clientId, ownerHash: null })
    parcel.media.splice(0, Infinity, ...media)
  }

  async #endParcel(pick: number): Promise<void> {
    const parcel = this.#parcels[pick % Math.max(1, this.#parcels.length)]
    if (!parcel) return
    await this.#records.endParcel(parcel.parcelId, { clientId: parcel.clientId, ownerHash: null }, NOW)
  }

  async #download(pick: number): Promise<void> {
    const lease = this.#leases[pick % Math.max(1, this.#leases.length)]
    if (!lease) return
    const grantId = freshId()
    await this.#records.takeDownload(lease.mediaId, { grantId, expiresAt: NOW + 5 }, NOW)
    this.#grants.push({ mediaId: lease.mediaId, grantId })
  }

  async #returnDownload(pick: number): Promise<void> {
    const grant = this.#grants[pick % Math.max(1, this.#grants.length)]
    if (grant) await this.#records.returnDownload(grant.mediaId, grant.grantId)
  }

  async #end(pick: number): Promise<void> {
    const lease = this.#leases[pick % Math.max(1, this.#leases.length)]
    if (!lease) return
    await this.#records.endLease(lease.mediaId, { clientId: lease.clientId, ownerHash: null }, NOW)
  }
}
