/** What the server responds with. Written by `npm run docs` from schemas.ts. */
import {
  array,
  boolean,
  integer,
  number,
  object,
  oneOf,
  openObject,
  optional,
  record,
  string,
  time,
  tuple,
  url,
  type Reader,
} from './reader.ts'

/** An upload that parts may be sent to. */
export interface UploadBegun {
  /** Names the upload; secret: it permits adding parts */
  uploadId: string
  /** The public id; readable at once, while parts arrive */
  mediaId: string
  /** Size of every part but the last */
  partBytes: number
  /** When the unfinished upload is given up, unless parts keep arriving (RFC 3339, UTC) */
  expiresAt: string
  /** `direct`: parts may go straight to the store, by addresses that this server gives out */
  transfer?: 'proxy' | 'direct' | undefined
}

export const uploadBegunReader: Reader<UploadBegun> = object<UploadBegun>({
  uploadId: string({ pattern: /^[a-z2-7]{26}$/ }),
  mediaId: string({ pattern: /^[a-z2-7]{26}$/ }),
  partBytes: integer(0),
  expiresAt: time,
  transfer: optional(oneOf('proxy', 'direct')),
})

/** The state of an upload, to resume it. */
export interface UploadStatus {
  /** The upload */
  uploadId: string
  /** The public id */
  mediaId: string
  /** `complete` once POST complete has succeeded */
  state: 'uploading' | 'complete'
  /** Size of every part but the last */
  partBytes: number
  /** Runs of durable part indices, both ends inclusive, ascending */
  parts: [number, number][]
  /** Bytes in all durable parts */
  durableBytes: number
  /** Declared or final size */
  sizeBytes?: number | undefined
  /** When the unfinished upload is given up (RFC 3339, UTC) */
  expiresAt: string
  /** `direct`: parts may go straight to the store, by addresses that this server gives out */
  transfer?: 'proxy' | 'direct' | undefined
}

export const uploadStatusReader: Reader<UploadStatus> = object<UploadStatus>({
  uploadId: string({ pattern: /^[a-z2-7]{26}$/ }),
  mediaId: string({ pattern: /^[a-z2-7]{26}$/ }),
  state: oneOf('uploading', 'complete'),
  partBytes: integer(0),
  parts: array(tuple(integer(0), integer(0))),
  durableBytes: integer(0),
  sizeBytes: optional(integer(0)),
  expiresAt: time,
  transfer: optional(oneOf('proxy', 'direct')),
})

/** An address at the store */
export interface DirectAddress {
  /** Names the slot that is held for this part, until it is confirmed or the address expires */
  transferId: string
  /** Where the store takes or gives the bytes; secret until it expires */
  url: string
  /** Headers to send with the request, exactly so */
  headers: Record<string, string>
  /** When the address stops working (RFC 3339, UTC) */
  expiresAt: string
}

export const directAddressReader: Reader<DirectAddress> = object<DirectAddress>({
  transferId: string({ pattern: /^[a-z2-7]{26}$/ }),
  url: url,
  headers: record(string()),
  expiresAt: time,
})

/** Presigned URLs of the parts of a media item */
export interface DirectRead {
  /** Names the slot that is held for this transfer */
  transferId: string
  /** Size of the media */
  sizeBytes: number
  /** Size of every part but the last */
  partBytes: number
  /** From the part that holds `start`; ask again for what lies behind the last one */
  parts: {
    /** Of the part */
    index: number
    url: string
    headers: Record<string, string>
  }[]
  /** When the addresses stop working, and the slot is free again (RFC 3339, UTC) */
  expiresAt: string
}

export const directReadReader: Reader<DirectRead> = object<DirectRead>({
  transferId: string({ pattern: /^[a-z2-7]{26}$/ }),
  sizeBytes: integer(0),
  partBytes: integer(0),
  parts: array(object({ index: integer(0), url: url, headers: record(string()) })),
  expiresAt: time,
})

/** Facts about a media item and its lease. */
export interface Media {
  /** The public id */
  mediaId: string
  /** `uploading` while parts still arrive */
  state: 'uploading' | 'complete'
  /** Final size; absent while unknown */
  sizeBytes?: number | undefined
  /** Bytes readable from the start without a gap */
  durableBytes: number
  /** Strong validator of the bytes, quotes included */
  etag: string
  /** When this lease was made (RFC 3339, UTC) */
  createdAt: string
  /** When this lease ends (RFC 3339, UTC) */
  expiresAt: string
  /** As given when the lease was made */
  maxDownloads?: number | undefined
  /** Downloads that may still begin; absent when unlimited */
  downloadsLeft?: number | undefined
  /** A forward of a media item with counted downloads: it shares the count, and ends with its source */
  endsWithSource?: true | undefined
}

export const mediaReader: Reader<Media> = object<Media>({
  mediaId: string({ pattern: /^[a-z2-7]{26}$/ }),
  state: oneOf('uploading', 'complete'),
  sizeBytes: optional(integer(0)),
  durableBytes: integer(0),
  etag: string(),
  createdAt: time,
  expiresAt: time,
  maxDownloads: optional(integer()),
  downloadsLeft: optional(integer()),
  endsWithSource: optional(oneOf(true)),
})

/** RFC 9457 problem */
export interface Problem {
  /** `urn:sealift:problem:<code>` */
  type: string
  title: string
  status: number
  /** Stable; the table of codes is in docs/protocol.md */
  code: string
  /** What happened and what to do */
  detail: string
  /** The limit that refused, by its name in GET /v1/limits */
  limit?: string | undefined
  /** The value of that limit */
  value?: number | undefined
  /** What is left of it */
  remaining?: number | undefined
  /** Names the request in the server's log */
  requestId?: string | undefined
  [field: string]: unknown
}

export const problemReader: Reader<Problem> = openObject<Problem>({
  type: string(),
  title: string(),
  status: integer(),
  code: string(),
  detail: string(),
  limit: optional(string()),
  value: optional(number()),
  remaining: optional(number()),
  requestId: optional(string()),
})

/** A version of a parcel. */
export interface PublishedParcel {
  /** Names the parcel */
  parcelId: string
  /** Grows by one with each manifest */
  version: number
  /** When the parcel ends (RFC 3339, UTC) */
  expiresAt: string
}

export const publishedParcelReader: Reader<PublishedParcel> = object<PublishedParcel>({
  parcelId: string({ pattern: /^[a-z2-7]{26}$/ }),
  version: integer(1),
  expiresAt: time,
})

/** What applies to a client */
export interface TierLimits {
  /** Transfers towards the server at once */
  concurrentUploads: number
  /** Transfers from the server at once */
  concurrentDownloads: number
  /** Transfers that may wait for a slot, each way */
  queue: number
  /** Sustained rate of requests; 0: no limit */
  requestsPerSecond: number
  /** Requests that may come at once */
  requestBurst: number
  /** 0: no limit */
  uploadBytesPerSecond: number
  /** 0: no limit */
  downloadBytesPerSecond: number
  /** Largest media of each kind */
  maxBytes: Record<'image' | 'video' | 'audio' | 'document' | 'other', number>
  /** Bytes kept at once, reserved ones and manifests included */
  storedBytes: number
  /** Records kept at once: media, forwards, parcels and what belongs to them */
  storedRows: number
  /** Unfinished uploads at once */
  pendingUploads: number
  /** Bytes in unfinished uploads */
  pendingBytes: number
  /** Largest sealed manifest */
  manifestBytes: number
  /** Expiry when none is asked for */
  defaultTtlSeconds: number
  /** Longest expiry that may be asked for */
  maxTtlSeconds: number
  /** Devices of one account */
  devices: number
}

export const tierLimitsReader: Reader<TierLimits> = object<TierLimits>({
  concurrentUploads: integer(),
  concurrentDownloads: integer(),
  queue: integer(),
  requestsPerSecond: number(),
  requestBurst: integer(),
  uploadBytesPerSecond: number(),
  downloadBytesPerSecond: number(),
  maxBytes: record(integer(), ['image', 'video', 'audio', 'document', 'other']),
  storedBytes: integer(),
  storedRows: integer(),
  pendingUploads: integer(),
  pendingBytes: integer(),
  manifestBytes: integer(),
  defaultTtlSeconds: integer(),
  maxTtlSeconds: integer(),
  devices: integer(),
})

/** What applies to a client, what it uses and what is left. */
export interface Limits {
  client: {
    /** Name of the tier in the configuration */
    tier: string
    /** True in open mode: the client is an address */
    anonymous: boolean
  }
  /** Part size of new uploads */
  partBytes: number
  /** What applies to a client */
  limits: TierLimits
  usage: {
    /** In flight now, on all nodes */
    uploads: number
    /** In flight now, on all nodes */
    downloads: number
    /** Kept now, or still to be expected by addresses of uploads that are over */
    storedBytes: number
    /** Kept now; what has ended counts until the server forgets it */
    storedRows: number
    /** Reserved by unfinished uploads */
    reservedBytes: number
    pendingUploads: number
    devices: number
  }
  remaining: {
    /** Still free */
    storedBytes: number
    storedRows: number
    pendingUploads: number
    /** Still free */
    pendingBytes: number
  }
}

export const limitsReader: Reader<Limits> = object<Limits>({
  client: object({ tier: string(), anonymous: boolean }),
  partBytes: integer(0),
  limits: tierLimitsReader,
  usage: object({
    uploads: integer(),
    downloads: integer(),
    storedBytes: integer(0),
    storedRows: integer(),
    reservedBytes: integer(0),
    pendingUploads: integer(),
    devices: integer(),
  }),
  remaining: object({
    storedBytes: integer(0),
    storedRows: integer(),
    pendingUploads: integer(),
    pendingBytes: integer(0),
  }),
})
