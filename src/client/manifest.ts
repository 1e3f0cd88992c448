/**
 * What is shared: the sealed description that only holders of the link's key read. Whoever made a link may have written
 * anything here, so every field is bounded before it is used.
 */
import * as z from 'zod'

import { ID_PATTERN } from '../protocol/ids.ts'

export const MANIFEST_VERSION = 1

const MAX_ITEMS = 20_000
const MAX_NAME_CHARACTERS = 4096
/** A chunk is held in memory whole: this bounds what a manifest can make a receiver allocate. */
const MIN_CHUNK_BYTES = 1024
const MAX_CHUNK_BYTES = 1024 * 1024
/** 32 bytes as base64url. */
const BYTES_32 = /^[A-Za-z0-9_-]{43}$/

const size = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
const bytes32 = z.string().regex(BYTES_32)
const mediaType = z.string().min(1).max(255)

/** A picture in 25 bytes or so, and the size of the real one. */
const preview = z.looseObject({
  thumbHash: z.string().max(128).optional().describe('ThumbHash, base64url'),
  width: z.int().min(1).max(1_000_000).optional().describe('Pixels'),
  height: z.int().min(1).max(1_000_000).optional().describe('Pixels'),
})

/** Where sealed bytes are and what opens them. */
const sealedFields = {
  bytes: size.describe('True length of the plaintext, padding left out'),
  media: z.string().regex(ID_PATTERN).describe('Id of the media on the server'),
  key: bytes32,
  chunkBytes: z.int().min(MIN_CHUNK_BYTES).max(MAX_CHUNK_BYTES),
  sealedBytes: size.min(1),
  sha256: bytes32.describe('Of all sealed bytes'),
  commit: bytes32,
}

export const sealedMediaSchema = z.looseObject(sealedFields)

const described = {
  name: z.string().min(1).max(MAX_NAME_CHARACTERS),
  type: mediaType,
  preview: preview.optional(),
  thumbnail: sealedMediaSchema.optional(),
  video: z.looseObject({}).optional(),
}

const completeItem = z.looseObject({ ...described, ...sealedFields, state: z.literal('complete') })

/** Still being sent: what is not known yet is absent. With `media` its bytes can be followed. */
const sendingItem = z.looseObject({
  ...described,
  state: z.literal('sending'),
  bytes: sealedFields.bytes.optional(),
  media: sealedFields.media.optional(),
  key: bytes32.optional(),
  chunkBytes: sealedFields.chunkBytes.optional(),
  sealedBytes: sealedFields.sealedBytes.optional(),
  commit: bytes32.optional(),
})

export const manifestItemSchema = z.discriminatedUnion('state', [completeItem, sendingItem])

export const manifestSchema = z.looseObject({
  v: z.literal(MANIFEST_VERSION),
  createdAt: z.iso.datetime(),
  items: z.array(manifestItemSchema).max(MAX_ITEMS),
})

export type Manifest = z.infer<typeof manifestSchema>
export type ManifestItem = Manifest['items'][number]
export type CompleteItem = z.infer<typeof completeItem>
export type SendingItem = z.infer<typeof sendingItem>
export type SealedMedia = z.infer<typeof sealedMediaSchema>
/** What to show before the bytes are there: dimensions in pixels and a ThumbHash. */
export type Preview = z.infer<typeof preview>
