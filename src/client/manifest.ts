/**
 * What is shared: the sealed description that only holders of the link's key read. Whoever made a link may have written
 * anything here, so every field is bounded before it is used.
 */
import * as z from 'zod'

import type { TrackMedia } from './film.ts'
import { sealedFields, size } from './manifest-fields.ts'

export const MANIFEST_VERSION = 1

/** As many media as a parcel may cover. */
export const MAX_ITEMS = 20_000
const MAX_NAME_CHARACTERS = 4096
export const MAX_NOTE_CHARACTERS = 2000

const mediaType = z.string().min(1).max(255)

/** A picture in 25 bytes or so, and the size of the real one. */
export const previewSchema = z.looseObject({
  thumbHash: z.string().max(128).optional().describe('ThumbHash, base64url'),
  width: z.int().min(1).max(1_000_000).optional().describe('Pixels'),
  height: z.int().min(1).max(1_000_000).optional().describe('Pixels'),
})

export const sealedMediaSchema = z.looseObject(sealedFields)

/** The file that an item was made of, when its bytes are another layout of it: see `docs/format.md`. */
const original = z.looseObject({
  bytes: size.describe('Its length'),
  runs: sealedMediaSchema
    .optional()
    .describe('Which of its bytes stand where in the item, and those that do not; absent while it is being sent'),
})

const described = {
  name: z.string().min(1).max(MAX_NAME_CHARACTERS).describe('As its sender calls it; a slash parts folders'),
  type: mediaType.describe('Media type'),
  modifiedAt: z.iso.datetime().optional().describe('When its file was last changed, as the sender says: RFC 3339, UTC'),
  preview: previewSchema.optional().describe('What to show before any bytes are there'),
  thumbnail: sealedMediaSchema.optional().describe('A small picture, JPEG, sealed as role `thumbnail`'),
  /** Read by `film.ts`, leniently: an item whose film cannot be understood is still a file. */
  video: z.looseObject({}).optional().describe('How it is played'),
  note: z
    .string()
    .min(1)
    .max(MAX_NOTE_CHARACTERS)
    .optional()
    .describe('How it differs from what one would expect, such as why a film is a plain file: sentences in English'),
  original: original.optional().describe('The file that it was made of, when its own bytes are another layout of that'),
}

const completeItem = z.looseObject({
  ...described,
  ...sealedFields,
  state: z.literal('complete').describe('`sending`: more of it will follow'),
})

/** Still being sent: what is not known yet is absent. With `media` its bytes can be followed. */
const sendingItem = z.looseObject({
  ...described,
  state: z.literal('sending'),
  bytes: sealedFields.bytes.optional(),
  media: sealedFields.media.optional(),
  key: sealedFields.key.optional(),
  chunkBytes: sealedFields.chunkBytes.optional(),
  sealedBytes: sealedFields.sealedBytes.optional(),
  commit: sealedFields.commit.optional(),
})

export const manifestItemSchema = z.discriminatedUnion('state', [completeItem, sendingItem])

export const manifestSchema = z.looseObject({
  v: z.literal(MANIFEST_VERSION).describe('Version of the manifest'),
  createdAt: z.iso.datetime().describe('When it was made: RFC 3339, UTC'),
  everySeconds: z
    .number()
    .min(1)
    .max(3600)
    .optional()
    .describe('While items are being sent: a new version comes at least this often, or the sender is gone'),
  items: z.array(manifestItemSchema).max(MAX_ITEMS).describe('What is shared; an item keeps its place in all versions'),
})

export type Manifest = z.infer<typeof manifestSchema>
export type ManifestItem = Manifest['items'][number]
export type CompleteItem = z.infer<typeof completeItem>
export type SendingItem = z.infer<typeof sendingItem>
export type SealedMedia = z.infer<typeof sealedMediaSchema>
/** What to show before the bytes are there: dimensions in pixels and a ThumbHash. */
export type Preview = z.infer<typeof previewSchema>

/** An item whose file can be put together from it. */
export type MadeItem = CompleteItem & { readonly original: { readonly bytes: number; readonly runs: SealedMedia } }

export function originalOf(item: ManifestItem): MadeItem['original'] | null {
  const { original } = item
  return item.state === 'complete' && original?.runs ? { bytes: original.bytes, runs: original.runs } : null
}

/** Whether all of an item is there: its bytes, and what its original is put together by. */
export function isSent(item: ManifestItem): item is CompleteItem {
  return item.state === 'complete' && (!item.original || originalOf(item) !== null)
}

/** The bytes of an item as those of a track; `null` while there are none. */
export function trackMediaOf(item: ManifestItem): TrackMedia | null {
  if (item.state === 'complete') return item
  const { media, key, commit, chunkBytes } = item
  if (media === undefined || key === undefined || commit === undefined || chunkBytes === undefined) return null
  return { state: 'sending', media, key, commit, chunkBytes }
}

/** Whether more of an item will follow: of its bytes, or of its film. */
export function isBeingSent(item: ManifestItem): boolean {
  return !isSent(item) || item.video?.['state'] === 'sending'
}
