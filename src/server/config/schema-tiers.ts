/** One tier of the section `tiers`: the limits of each of its clients. */
import type { KINDS } from '../../protocol/schemas.ts'
import { count, duration, lifetime, section, size } from './fields.ts'
import { DAY, KiB, MAX_BYTES, MiB, MINUTE, SECOND, TiB } from './schema-units.ts'

const kindCap = (written: string, what: string) =>
  size({ written, min: 1, max: MAX_BYTES, range: '1 to 1024TiB', about: `Largest ${what}`, live: true })

const byKind = {
  image: kindCap('512MiB', 'image'),
  video: kindCap('16GiB', 'video'),
  audio: kindCap('16GiB', 'voice note or song'),
  document: kindCap('16GiB', 'document'),
  other: kindCap('16GiB', 'media whose kind was not told'),
} satisfies Record<(typeof KINDS)[number], unknown>

const transfers = (written: number, about: string) =>
  count({ written, min: 1, max: 100_000, about, unit: 'transfers', live: true })

const byteRate = (about: string) =>
  size({
    written: 0,
    min: 0,
    max: TiB,
    range: '0 to 1TiB',
    unit: 'size per second',
    about: `${about} 0: no limit`,
    live: true,
  })

const storageSize = (written: string, about: string) =>
  size({ written, min: 0, max: MAX_BYTES, range: '0 to 1024TiB', about, live: true })

const ttl = (written: string, about: string) =>
  lifetime({ written, min: SECOND, max: 3660 * DAY, range: '1s to 3660d', about, live: true })

export const tier = section('What applies to each client of the tier', {
  concurrentUploads: transfers(32, 'Transfers towards the server at once'),
  concurrentDownloads: transfers(64, 'Transfers from the server at once'),
  queue: count({
    written: 512,
    min: 0,
    max: 100_000,
    about: 'Transfers that may wait for a slot, each way',
    unit: 'transfers',
    live: true,
  }),
  queueWait: duration({
    written: '30s',
    min: 0,
    max: 10 * MINUTE,
    range: '0s to 10m',
    about: 'Longest wait for a slot',
    live: true,
  }),
  requestsPerSecond: count({
    written: 200,
    min: 0,
    max: 1_000_000,
    fraction: true,
    about: 'Sustained rate of requests; 0: no limit',
    unit: 'requests per second',
    live: true,
  }),
  requestBurst: count({
    written: 2000,
    min: 1,
    max: 10_000_000,
    about: 'Requests that may come at once',
    unit: 'requests',
    live: true,
  }),
  uploadBytesPerSecond: byteRate('Rate of all uploads together.'),
  downloadBytesPerSecond: byteRate('Rate of all downloads together.'),
  maxBytes: section('Largest media of each kind, sealed; the kind is the word of the client', byKind),
  storedBytes: storageSize('100GiB', 'Bytes kept at once: media, manifests, and what unfinished uploads reserve'),
  storedRows: count({
    written: 10_000_000,
    min: 0,
    max: 1_000_000_000_000,
    about:
      'Records kept at once: one for each media or forward and for each download it counts, each parcel and each media it covers, each idempotency key',
    unit: 'records',
    live: true,
  }),
  pendingUploads: count({
    written: 1000,
    min: 1,
    max: 10_000_000,
    about: 'Unfinished uploads at once',
    unit: 'uploads',
    live: true,
  }),
  pendingBytes: storageSize('50GiB', 'Bytes in unfinished uploads'),
  manifestBytes: size({
    written: '4MiB',
    min: KiB,
    max: 64 * MiB,
    range: '1KiB to 64MiB',
    about: 'Largest sealed manifest of a parcel',
    live: true,
  }),
  defaultTtl: ttl('30d', 'How long media and parcels are kept when the sender does not say'),
  maxTtl: ttl('90d', 'Longest time a sender may ask for'),
  devices: count({
    written: 5,
    min: 0,
    max: 10_000,
    about: 'Devices of one account; 0: no limit',
    unit: 'devices',
    live: true,
  }),
})
