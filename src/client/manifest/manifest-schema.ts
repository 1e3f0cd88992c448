/**
 * What a manifest and the films in it may hold. A manifest is untrusted, so every field is bounded. `npm run docs`
 * writes manifest-readers.ts, film-readers.ts and docs/manifest.md from these schemas; browsers load the readers, and
 * not zod.
 */
import * as z from 'zod'

import { ID_PATTERN } from '../../protocol/ids.ts'
import { MANIFEST_VERSION, MAX_ITEMS, MAX_NOTE_CHARACTERS } from './manifest.ts'

/** A chunk is held in memory whole: this bounds what a manifest can make a receiver allocate. */
const MIN_CHUNK_BYTES = 1024
const MAX_CHUNK_BYTES = 1024 * 1024
/** 32 bytes as base64url. */
export const BYTES_32_PATTERN = /^[A-Za-z0-9_-]{43}$/

const size = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
const bytes32 = z.string().regex(BYTES_32_PATTERN)

/** Where sealed bytes are and what opens them. */
const sealedFields = {
  bytes: size.describe('True length of the plaintext, padding left out'),
  media: z.string().regex(ID_PATTERN).describe('Id of the media on the server'),
  key: bytes32.describe('What opens it'),
  chunkBytes: z.int().min(MIN_CHUNK_BYTES).max(MAX_CHUNK_BYTES).describe('Of the sealed bytes'),
  sealedBytes: size.min(1).describe('Length of the sealed bytes, padding and header with them'),
  sha256: bytes32.describe('Of all sealed bytes'),
  commit: bytes32.describe('Commitment to the key; compared before anything is opened'),
}

const MAX_NAME_CHARACTERS = 4096
const mediaType = z.string().min(1).max(255)

/** A picture in 25 bytes or so, and the size of the real one. */
export const previewSchema = z.looseObject({
  thumbHash: z.string().max(128).optional().describe('ThumbHash, base64url'),
  width: z.int().min(1).max(1_000_000).optional().describe('Pixels'),
  height: z.int().min(1).max(1_000_000).optional().describe('Pixels'),
})

export const sealedMediaSchema = z.looseObject(sealedFields)

/** The file that an item was made of, when its bytes are another layout of it: see `docs/format.md`. */
export const original = z.looseObject({
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
  /** Read by itself as a film: an item whose film cannot be understood is still a file. */
  video: z.looseObject({}).optional().describe('How it is played'),
  note: z
    .string()
    .min(1)
    .max(MAX_NOTE_CHARACTERS)
    .optional()
    .describe('How it differs from what one would expect, such as why a film is a plain file: sentences in English'),
  original: original.optional().describe('The file that it was made of, when its own bytes are another layout of that'),
}

export const completeItem = z.looseObject({
  ...described,
  ...sealedFields,
  state: z.literal('complete').describe('`sending`: more of it will follow'),
})

/** Still being sent: what is not known yet is absent. With `media` its bytes can be followed. */
export const sendingItem = z.looseObject({
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

const MAX_TRACKS = 64
/** At four seconds each, 4.6 days. */
const MAX_SEGMENTS = 100_000
const MAX_SEGMENT_SECONDS = 3600

const offset = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
/** A segment is held in memory whole: this bounds what a manifest can make a player allocate. */
const segmentBytes = z
  .int()
  .min(1)
  .max(256 * 1024 * 1024)
const seconds = z.number().min(0).max(MAX_SEGMENT_SECONDS)
const text = z.string().max(255)

export const completeTrackMedia = z.looseObject({
  ...sealedFields,
  state: z.literal('complete').describe('`sending`: more of it will follow'),
})

/** Still being sent: its length and hash are not known yet. */
export const sendingTrackMedia = z.looseObject({
  state: z.literal('sending'),
  media: sealedFields.media,
  key: sealedFields.key,
  commit: sealedFields.commit,
  chunkBytes: sealedFields.chunkBytes,
})

/** What opens a track: sealed as role `media`. */
export const trackMediaSchema = z.discriminatedUnion('state', [completeTrackMedia, sendingTrackMedia])

const trackFields = {
  media: trackMediaSchema.optional().describe("Absent: the item's own bytes"),
  language: text.optional().describe('BCP 47'),
  name: text.optional().describe('To choose by'),
  isDefault: z.boolean().optional().describe('The track that plays by default'),
}

export const track = z.looseObject({
  ...trackFields,
  codecs: text.min(1).describe('RFC 6381, separated by commas'),
  bandwidth: z.int().min(1).describe('Bits per second of the densest segment'),
  averageBandwidth: z.int().min(1).optional().describe('Bits per second'),
  width: z.int().min(1).max(32_768).optional().describe('Pixels, as shown'),
  height: z.int().min(1).max(32_768).optional().describe('Pixels, as shown'),
  frameRate: z.number().min(0).max(1000).optional().describe('Pictures per second'),
  init: z.tuple([offset, segmentBytes]).describe('Offset and length of the initialization segment'),
  segments: z
    .array(z.tuple([offset, segmentBytes, seconds]))
    .max(MAX_SEGMENTS)
    .describe('Offset, length, duration in seconds; ascending'),
})

/** WebVTT text in its own media item. */
export const subtitles = z.looseObject({
  ...trackFields,
  media: completeTrackMedia.describe('`complete`: WebVTT, whole'),
  isForced: z.boolean().optional().describe('Shown even to who wants no subtitles'),
})

/** Small pictures of the film: sheets of JPEG, each with columns × rows of them, left to right, top to bottom. */
export const storyboard = z.looseObject({
  media: completeTrackMedia.describe('`complete`: all sheets, one behind the other'),
  everySeconds: z.number().min(0.1).max(3600).describe('Seconds from one picture to the next'),
  columns: z.int().min(1).max(100).describe('Pictures side by side on a sheet'),
  rows: z.int().min(1).max(100).describe('Pictures one below the other on a sheet'),
  tileWidth: z.int().min(1).max(2048).describe('Pixels'),
  tileHeight: z.int().min(1).max(2048).describe('Pixels'),
  sheets: z
    .array(z.tuple([offset, segmentBytes]))
    .max(1000)
    .describe('Offset and length; in order; the last one may hold fewer pictures'),
})

export const filmSchema = z.looseObject({
  state: z.enum(['sending', 'complete']).describe('`sending`: more segments will follow'),
  seconds: z.number().min(0).optional().describe('Duration; absent while it is not known'),
  renditions: z
    .array(track)
    .min(1)
    .max(MAX_TRACKS)
    .describe('The same pictures (or, without any, the same sound) in different sizes, best first'),
  audio: z.array(track).max(MAX_TRACKS).optional().describe('Sound apart from the renditions, when there is a choice'),
  subtitles: z.array(subtitles).max(MAX_TRACKS).optional().describe('To choose from'),
  storyboard: storyboard.optional().describe('What to show while a place is being looked for'),
})
