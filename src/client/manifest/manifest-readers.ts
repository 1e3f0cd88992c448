/** What a manifest holds. Written by `npm run docs` from manifest-schema.ts. */
import {
  array,
  integer,
  number,
  oneOf,
  openObject,
  optional,
  string,
  time,
  variants,
  type Reader,
} from '../../protocol/reader.ts'

/** Where sealed bytes are, and what opens them. */
export interface SealedMedia {
  /** True length of the plaintext, padding left out */
  bytes: number
  /** Id of the media on the server */
  media: string
  /** What opens it */
  key: string
  /** Of the sealed bytes */
  chunkBytes: number
  /** Length of the sealed bytes, padding and header with them */
  sealedBytes: number
  /** Of all sealed bytes */
  sha256: string
  /** Commitment to the key; compared before anything is opened */
  commit: string
  [field: string]: unknown
}

export const sealedMediaReader: Reader<SealedMedia> = openObject<SealedMedia>({
  bytes: integer(0),
  media: string({ pattern: /^[a-z2-7]{26}$/ }),
  key: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
  chunkBytes: integer(1024, 1048576),
  sealedBytes: integer(1),
  sha256: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
  commit: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
})

/** What to show before the bytes are there. */
export interface Preview {
  /** ThumbHash, base64url */
  thumbHash?: string | undefined
  /** Pixels */
  width?: number | undefined
  /** Pixels */
  height?: number | undefined
  [field: string]: unknown
}

export const previewReader: Reader<Preview> = openObject<Preview>({
  thumbHash: optional(string({ max: 128 })),
  width: optional(integer(1, 1000000)),
  height: optional(integer(1, 1000000)),
})

/** The file that an item was made of. */
export interface ItemOriginal {
  /** Its length */
  bytes: number
  /** Which of its bytes stand where in the item, and those that do not; absent while it is being sent */
  runs?: SealedMedia | undefined
  [field: string]: unknown
}

export const itemOriginalReader: Reader<ItemOriginal> = openObject<ItemOriginal>({
  bytes: integer(0),
  runs: optional(sealedMediaReader),
})

/** An item with all its bytes. */
export interface CompleteItem {
  /** As its sender calls it; a slash parts folders */
  name: string
  /** Media type */
  type: string
  /** When its file was last changed, as the sender says: RFC 3339, UTC */
  modifiedAt?: string | undefined
  /** What to show before any bytes are there */
  preview?: Preview | undefined
  /** A small picture, JPEG, sealed as role `thumbnail` */
  thumbnail?: SealedMedia | undefined
  /** How it is played */
  video?: Record<string, unknown> | undefined
  /** How it differs from what one would expect, such as why a film is a plain file: sentences in English */
  note?: string | undefined
  /** The file that it was made of, when its own bytes are another layout of that */
  original?: ItemOriginal | undefined
  /** True length of the plaintext, padding left out */
  bytes: number
  /** Id of the media on the server */
  media: string
  /** What opens it */
  key: string
  /** Of the sealed bytes */
  chunkBytes: number
  /** Length of the sealed bytes, padding and header with them */
  sealedBytes: number
  /** Of all sealed bytes */
  sha256: string
  /** Commitment to the key; compared before anything is opened */
  commit: string
  /** `sending`: more of it will follow */
  state: 'complete'
  [field: string]: unknown
}

export const completeItemReader: Reader<CompleteItem> = openObject<CompleteItem>({
  name: string({ min: 1, max: 4096 }),
  type: string({ min: 1, max: 255 }),
  modifiedAt: optional(time),
  preview: optional(previewReader),
  thumbnail: optional(sealedMediaReader),
  video: optional(openObject({})),
  note: optional(string({ min: 1, max: 2000 })),
  original: optional(itemOriginalReader),
  bytes: integer(0),
  media: string({ pattern: /^[a-z2-7]{26}$/ }),
  key: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
  chunkBytes: integer(1024, 1048576),
  sealedBytes: integer(1),
  sha256: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
  commit: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
  state: oneOf('complete'),
})

/** An item whose bytes are still being sent. */
export interface SendingItem {
  /** As its sender calls it; a slash parts folders */
  name: string
  /** Media type */
  type: string
  /** When its file was last changed, as the sender says: RFC 3339, UTC */
  modifiedAt?: string | undefined
  /** What to show before any bytes are there */
  preview?: Preview | undefined
  /** A small picture, JPEG, sealed as role `thumbnail` */
  thumbnail?: SealedMedia | undefined
  /** How it is played */
  video?: Record<string, unknown> | undefined
  /** How it differs from what one would expect, such as why a film is a plain file: sentences in English */
  note?: string | undefined
  /** The file that it was made of, when its own bytes are another layout of that */
  original?: ItemOriginal | undefined
  state: 'sending'
  /** True length of the plaintext, padding left out */
  bytes?: number | undefined
  /** Id of the media on the server */
  media?: string | undefined
  /** What opens it */
  key?: string | undefined
  /** Of the sealed bytes */
  chunkBytes?: number | undefined
  /** Length of the sealed bytes, padding and header with them */
  sealedBytes?: number | undefined
  /** Commitment to the key; compared before anything is opened */
  commit?: string | undefined
  [field: string]: unknown
}

export const sendingItemReader: Reader<SendingItem> = openObject<SendingItem>({
  name: string({ min: 1, max: 4096 }),
  type: string({ min: 1, max: 255 }),
  modifiedAt: optional(time),
  preview: optional(previewReader),
  thumbnail: optional(sealedMediaReader),
  video: optional(openObject({})),
  note: optional(string({ min: 1, max: 2000 })),
  original: optional(itemOriginalReader),
  state: oneOf('sending'),
  bytes: optional(integer(0)),
  media: optional(string({ pattern: /^[a-z2-7]{26}$/ })),
  key: optional(string({ pattern: /^[A-Za-z0-9_-]{43}$/ })),
  chunkBytes: optional(integer(1024, 1048576)),
  sealedBytes: optional(integer(1)),
  commit: optional(string({ pattern: /^[A-Za-z0-9_-]{43}$/ })),
})

/** A file, whole or still being sent. */
export type ManifestItem = CompleteItem | SendingItem

export const manifestItemReader: Reader<ManifestItem> = variants('state', {
  complete: completeItemReader,
  sending: sendingItemReader,
})

/** Everything that one link leads to. */
export interface Manifest {
  /** Version of the manifest */
  v: 1
  /** When it was made: RFC 3339, UTC */
  createdAt: string
  /** While items are being sent: a new version comes at least this often, or the sender is gone */
  everySeconds?: number | undefined
  /** What is shared; an item keeps its place in all versions */
  items: ManifestItem[]
  [field: string]: unknown
}

export const manifestReader: Reader<Manifest> = openObject<Manifest>({
  v: oneOf(1),
  createdAt: time,
  everySeconds: optional(number(1, 3600)),
  items: array(manifestItemReader, { max: 20000 }),
})
