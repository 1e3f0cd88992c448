/**
 * Every body that travels as JSON. These schemas make the types, validate requests on the server and responses in the
 * client, and become the OpenAPI document and the tables of docs/protocol.md.
 */
import * as z from 'zod'

import { ID_PATTERN } from './ids.ts'
import { PART_STEP_BYTES } from './parts.ts'

const id = (what: string) => z.string().regex(ID_PATTERN).describe(what)
const bytes = (what: string) => z.int().min(0).max(Number.MAX_SAFE_INTEGER).describe(what)
const instant = (what: string) => z.iso.datetime().describe(`${what} (RFC 3339, UTC)`)

export const KINDS = ['image', 'video', 'audio', 'document', 'other'] as const

export const kind = z
  .enum(KINDS)
  .describe("What the client says it sends, to pick a size cap; its word alone, and optional: without it, 'other'")

export const ttlSeconds = z
  .int()
  .min(1)
  .max(10 * 366 * 86_400)
  .describe("How long to keep it; the tier's default when absent, refused above the tier's maximum")

export const maxDownloads = z
  .int()
  .min(1)
  .max(1_000_000)
  .describe('How many downloads may begin before the lease ends; unlimited when absent')

export const beginUploadRequest = z
  .strictObject({
    kind: kind.optional(),
    sizeBytes: z
      .int()
      .min(1)
      .max(Number.MAX_SAFE_INTEGER)
      .optional()
      .describe('Sealed size when known: reserves the quota at once and fixes the size'),
    partBytes: z
      .int()
      .min(PART_STEP_BYTES)
      .max(Number.MAX_SAFE_INTEGER)
      .optional()
      .describe(
        "Requested size of parts, smaller for followers: rounded down to 256 KiB steps, at most the server's size; the response has the actual size",
      ),
    ttlSeconds: ttlSeconds.optional(),
    maxDownloads: maxDownloads.optional(),
  })
  .describe('Begins an upload')

export const transferMode = z
  .enum(['proxy', 'direct'])
  .describe('`direct`: parts may go straight to the store, by addresses that this server gives out')

export const uploadBegun = z.object({
  uploadId: id('Names the upload; secret: it permits adding parts'),
  mediaId: id('The public id; readable at once, while parts arrive'),
  partBytes: bytes('Size of every part but the last'),
  expiresAt: instant('When the unfinished upload is given up, unless parts keep arriving'),
  transfer: transferMode.optional(),
})

/** Runs of part indices, both ends inclusive: `[[0, 4], [6, 6]]`. */
export const partRuns = z
  .array(z.tuple([z.int().min(0), z.int().min(0)]))
  .describe('Runs of durable part indices, both ends inclusive, ascending')

export const uploadStatus = z.object({
  uploadId: id('The upload'),
  mediaId: id('The public id'),
  state: z.enum(['uploading', 'complete']).describe('`complete` once POST complete has succeeded'),
  partBytes: bytes('Size of every part but the last'),
  parts: partRuns,
  durableBytes: bytes('Bytes in all durable parts'),
  sizeBytes: bytes('Declared or final size').optional(),
  expiresAt: instant('When the unfinished upload is given up'),
  transfer: transferMode.optional(),
})

/** A part that goes to the store, or has gone there, without passing this server. */
export const directPartRequest = z
  .strictObject({
    sizeBytes: z.int().min(1).max(Number.MAX_SAFE_INTEGER).describe('Exact size of the part'),
    md5: z
      .string()
      .regex(/^[A-Za-z0-9+/]{21}[AQgw]==$/)
      .describe('MD5 of the part, base64: an S3 service checks it, so the address takes these bytes and no others'),
  })
  .describe('A part that goes straight to the store')

export const directAddress = z
  .object({
    transferId: id('Names the slot that is held for this part, until it is confirmed or the address expires'),
    url: z.url().describe('Where the store takes or gives the bytes; secret until it expires'),
    headers: z.record(z.string(), z.string()).describe('Headers to send with the request, exactly so'),
    expiresAt: instant('When the address stops working'),
  })
  .describe('An address at the store')

export const directReadRequest = z
  .strictObject({
    start: z.int().min(0).max(Number.MAX_SAFE_INTEGER).describe('First byte that is wanted'),
    end: z.int().min(1).max(Number.MAX_SAFE_INTEGER).optional().describe('Past the last one; all when absent'),
  })
  .describe('Asks for the addresses of the parts that hold a range')

export const directRead = z
  .object({
    transferId: id('Names the slot that is held for this transfer'),
    sizeBytes: bytes('Size of the media'),
    partBytes: bytes('Size of every part but the last'),
    parts: z
      .array(
        z.object({
          index: z.int().min(0).describe('Of the part'),
          url: z.url(),
          headers: z.record(z.string(), z.string()),
        }),
      )
      .describe('From the part that holds `start`; ask again for what lies behind the last one'),
    expiresAt: instant('When the addresses stop working, and the slot is free again'),
  })
  .describe('Presigned URLs of the parts of a media item')

export const completeUploadRequest = z
  .strictObject({ sizeBytes: z.int().min(1).max(Number.MAX_SAFE_INTEGER).describe('Sum of the sizes of all parts') })
  .describe('Ends an upload')

export const media = z.object({
  mediaId: id('The public id'),
  state: z.enum(['uploading', 'complete']).describe('`uploading` while parts still arrive'),
  sizeBytes: bytes('Final size; absent while unknown').optional(),
  durableBytes: bytes('Bytes readable from the start without a gap'),
  etag: z.string().describe('Strong validator of the bytes, quotes included'),
  createdAt: instant('When this lease was made'),
  expiresAt: instant('When this lease ends'),
  maxDownloads: z.int().optional().describe('As given when the lease was made'),
  downloadsLeft: z.int().optional().describe('Downloads that may still begin; absent when unlimited'),
  endsWithSource: z
    .literal(true)
    .optional()
    .describe('A forward of a media item with counted downloads: it shares the count, and ends with its source'),
})

export const leaseRequest = z
  .strictObject({ ttlSeconds: ttlSeconds.optional(), maxDownloads: maxDownloads.optional() })
  .describe('Forwards a media item: a new lease, never a copy')

export const problem = z
  .looseObject({
    type: z.string().describe('`urn:sealift:problem:<code>`'),
    title: z.string(),
    status: z.int(),
    code: z.string().describe('Stable; the table of codes is in docs/protocol.md'),
    detail: z.string().describe('What happened and what to do'),
    limit: z.string().optional().describe('The limit that refused, by its name in GET /v1/limits'),
    value: z.number().optional().describe('The value of that limit'),
    remaining: z.number().optional().describe('What is left of it'),
    requestId: z.string().optional().describe("Names the request in the server's log"),
  })
  .describe('RFC 9457 problem')

export const formFileResult = z.object({
  index: z.int().describe('Position of the file in the form, from 0'),
  field: z.string().describe('Name of the form field'),
  media: media.optional().describe('What was stored'),
  problem: problem.optional().describe('Why this file was not stored'),
})

export const formResult = z.object({ results: z.array(formFileResult) }).describe('One result for each file, in order')

const manifest = z.base64url().min(1).describe('The sealed manifest, base64url without padding')
const coveredMedia = z
  .array(id('A media item of the same owner'))
  .max(20_000)
  .describe('Media whose leases end with the parcel')

export const publishParcelRequest = z
  .strictObject({ manifest, media: coveredMedia, ttlSeconds: ttlSeconds.optional() })
  .describe('Publishes version 1 of a parcel')

export const replaceManifestRequest = z
  .strictObject({ manifest, media: coveredMedia })
  .describe('The next version; `media` replaces the list of covered media, and may not drop any')

export const parcel = z.object({
  parcelId: id('Names the parcel'),
  version: z.int().min(1).describe('Grows by one with each manifest'),
  expiresAt: instant('When the parcel ends'),
})

export const tierLimits = z
  .object({
    concurrentUploads: z.int().describe('Transfers towards the server at once'),
    concurrentDownloads: z.int().describe('Transfers from the server at once'),
    queue: z.int().describe('Transfers that may wait for a slot, each way'),
    requestsPerSecond: z.number().describe('Sustained rate of requests; 0: no limit'),
    requestBurst: z.int().describe('Requests that may come at once'),
    uploadBytesPerSecond: z.number().describe('0: no limit'),
    downloadBytesPerSecond: z.number().describe('0: no limit'),
    maxBytes: z.record(z.enum(KINDS), z.int()).describe('Largest media of each kind'),
    storedBytes: z.int().describe('Bytes kept at once, reserved ones and manifests included'),
    storedRows: z.int().describe('Records kept at once: media, forwards, parcels and what belongs to them'),
    pendingUploads: z.int().describe('Unfinished uploads at once'),
    pendingBytes: z.int().describe('Bytes in unfinished uploads'),
    manifestBytes: z.int().describe('Largest sealed manifest'),
    defaultTtlSeconds: z.int().describe('Expiry when none is asked for'),
    maxTtlSeconds: z.int().describe('Longest expiry that may be asked for'),
    devices: z.int().describe('Devices of one account'),
  })
  .describe('What applies to a client')

export const limits = z.object({
  client: z.object({
    tier: z.string().describe('Name of the tier in the configuration'),
    anonymous: z.boolean().describe('True in open mode: the client is an address'),
  }),
  partBytes: bytes('Part size of new uploads'),
  limits: tierLimits,
  usage: z.object({
    uploads: z.int().describe('In flight now, on all nodes'),
    downloads: z.int().describe('In flight now, on all nodes'),
    storedBytes: bytes('Kept now, or still to be expected by addresses of uploads that are over'),
    storedRows: z.int().describe('Kept now; what has ended counts until the server forgets it'),
    reservedBytes: bytes('Reserved by unfinished uploads'),
    pendingUploads: z.int(),
    devices: z.int(),
  }),
  remaining: z.object({
    storedBytes: bytes('Still free'),
    storedRows: z.int(),
    pendingUploads: z.int(),
    pendingBytes: bytes('Still free'),
  }),
})

export const health = z.object({
  status: z.enum(['ok', 'failing']),
  checks: z.record(z.string(), z.enum(['ok', 'degraded', 'failing'])).optional(),
})

export const openapi = z.looseObject({ openapi: z.string().describe('3.1.0') }).describe('An OpenAPI document')

// The type of each schema above, under the same name. Those of responses are written out for clients.
export type {
  DirectAddress,
  DirectRead,
  Limits,
  Media,
  PublishedParcel as Parcel,
  Problem,
  TierLimits,
  UploadBegun,
  UploadStatus,
} from './response-readers.ts'
export type Kind = z.infer<typeof kind>
export type BeginUploadRequest = z.infer<typeof beginUploadRequest>
export type PartRuns = z.infer<typeof partRuns>
export type TransferMode = z.infer<typeof transferMode>
export type DirectPartRequest = z.infer<typeof directPartRequest>
export type DirectReadRequest = z.infer<typeof directReadRequest>
export type CompleteUploadRequest = z.infer<typeof completeUploadRequest>
export type LeaseRequest = z.infer<typeof leaseRequest>
export type FormFileResult = z.infer<typeof formFileResult>
export type FormResult = z.infer<typeof formResult>
export type PublishParcelRequest = z.infer<typeof publishParcelRequest>
export type ReplaceManifestRequest = z.infer<typeof replaceManifestRequest>
export type Health = z.infer<typeof health>
