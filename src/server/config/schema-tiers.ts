/**
 * One tier of the section `tiers`: the limits of each of its clients.
 *
 * [Note: to add a limit to a tier] 1. Add a field to `tierSection` below, with its default, range and unit. 2. If
 * clients should see it, add it to `tierLimits` in protocol/schemas.ts; else to `Tier` in access/caller.ts and to
 * `LIMIT_NAMES` in telemetry/metrics.ts. 3. Enforce it: a rate or concurrency through the ports of limits/limiter.ts,
 * a quota in the transaction that charges it (`QuotaCaps`, records/queries/quota-usage.ts), a size where the request
 * is validated. Read the tier from the caller of each request, so that a reload applies. 4. Refuse with an error
 * whose context holds `limit` (the name of the field), `value` and `remaining`. 5. If it is used up, report usage and
 * remainder in limits/limits-report.ts. 6. Run `npm run docs`, add a test to test/http/limits.test.ts and a line to
 * CHANGELOG.md.
 */
import type { KINDS } from '../../protocol/schemas.ts'
import { countField, durationField, lifetimeField, section, sizeField } from './fields.ts'
import { DAY, KiB, MAX_BYTES, MiB, MINUTE, SECOND, TiB } from './schema-units.ts'

const kindCap = (written: string, what: string) =>
  sizeField({ written, min: 1, max: MAX_BYTES, range: '1 to 1024TiB', about: `Largest ${what}`, live: true })

const byKind = {
  image: kindCap('512MiB', 'image'),
  video: kindCap('16GiB', 'video'),
  audio: kindCap('16GiB', 'voice note or song'),
  document: kindCap('16GiB', 'document'),
  other: kindCap('16GiB', 'media without a kind'),
} satisfies Record<(typeof KINDS)[number], unknown>

const transfers = (written: number, about: string) =>
  countField({ written, min: 1, max: 100_000, about, unit: 'transfers', live: true })

const byteRate = (about: string) =>
  sizeField({
    written: 0,
    min: 0,
    max: TiB,
    range: '0 to 1TiB',
    unit: 'size per second',
    about: `${about} 0: no limit`,
    live: true,
  })

const storageSize = (written: string, about: string) =>
  sizeField({ written, min: 0, max: MAX_BYTES, range: '0 to 1024TiB', about, live: true })

const ttl = (written: string, about: string) =>
  lifetimeField({ written, min: SECOND, max: 3660 * DAY, range: '1s to 3660d', about, live: true })

export const tierSection = section('Limits of each client of the tier', {
  concurrentUploads: transfers(32, 'Concurrent transfers to the server'),
  concurrentDownloads: transfers(64, 'Concurrent transfers from the server'),
  queue: countField({
    written: 512,
    min: 0,
    max: 100_000,
    about: 'Transfers in the queue for a slot, per direction',
    unit: 'transfers',
    live: true,
  }),
  queueWait: durationField({
    written: '30s',
    min: 0,
    max: 10 * MINUTE,
    range: '0s to 10m',
    about: 'Longest wait for a slot',
    live: true,
  }),
  requestsPerSecond: countField({
    written: 200,
    min: 0,
    max: 1_000_000,
    fraction: true,
    about: 'Sustained rate of requests; 0: no limit',
    unit: 'requests per second',
    live: true,
  }),
  requestBurst: countField({
    written: 2000,
    min: 1,
    max: 10_000_000,
    about: 'Requests that may arrive in one burst',
    unit: 'requests',
    live: true,
  }),
  uploadBytesPerSecond: byteRate('Rate of all uploads together.'),
  downloadBytesPerSecond: byteRate('Rate of all downloads together.'),
  maxBytes: section('Largest media item of each kind, sealed; the client declares the kind', byKind),
  storedBytes: storageSize('100GiB', 'Stored bytes: media, manifests, and reservations of unfinished uploads'),
  storedRows: countField({
    written: 10_000_000,
    min: 0,
    max: 1_000_000_000_000,
    about:
      'Stored records: one for each media item or forward and for each download that it counts, each parcel and each media item that it covers, each idempotency key',
    unit: 'records',
    live: true,
  }),
  pendingUploads: countField({
    written: 1000,
    min: 1,
    max: 10_000_000,
    about: 'Unfinished uploads',
    unit: 'uploads',
    live: true,
  }),
  pendingBytes: storageSize('50GiB', 'Bytes in unfinished uploads'),
  manifestBytes: sizeField({
    written: '4MiB',
    min: KiB,
    max: 64 * MiB,
    range: '1KiB to 64MiB',
    about: 'Largest sealed manifest of a parcel',
    live: true,
  }),
  defaultTtl: ttl('30d', 'Lifetime of media and parcels, if the sender names none'),
  maxTtl: ttl('90d', 'Longest lifetime that a sender may request'),
  devices: countField({
    written: 5,
    min: 0,
    max: 10_000,
    about: 'Devices of one account; 0: no limit',
    unit: 'devices',
    live: true,
  }),
})
