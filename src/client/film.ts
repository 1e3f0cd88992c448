/**
 * How a film is laid out, as the manifest tells it: what a player needs to choose and where it reads. A track is one
 * fragmented MP4 file: its initialization segment, then segments that begin at key frames. Offsets and lengths are
 * of plaintext. Whoever made a link may have written anything here, so every field is bounded before it is used.
 */
import * as z from 'zod'

import { sealedFields } from './manifest-fields.ts'

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

const completeMedia = z.looseObject({
  ...sealedFields,
  state: z.literal('complete').describe('`sending`: more of it will follow'),
})

/** Still being sent: its length and hash are not known yet. */
const sendingMedia = z.looseObject({
  state: z.literal('sending'),
  media: sealedFields.media,
  key: sealedFields.key,
  commit: sealedFields.commit,
  chunkBytes: sealedFields.chunkBytes,
})

/** What opens a track: sealed as role `media`. */
export const trackMediaSchema = z.discriminatedUnion('state', [completeMedia, sendingMedia])

const trackFields = {
  media: trackMediaSchema.optional().describe("Absent: the item's own bytes"),
  language: text.optional().describe('BCP 47'),
  name: text.optional().describe('To choose by'),
  isDefault: z.boolean().optional().describe('What is meant when nobody chooses'),
}

const track = z.looseObject({
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

/** Text as WebVTT, whole, in a media of its own. */
const subtitles = z.looseObject({
  ...trackFields,
  media: completeMedia.describe('`complete`: WebVTT, whole'),
  isForced: z.boolean().optional().describe('Shown even to who wants no subtitles'),
})

/** Small pictures of the film: sheets of JPEG, each with columns × rows of them, left to right, top to bottom. */
const storyboard = z.looseObject({
  media: completeMedia.describe('`complete`: all sheets, one behind the other'),
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

export type FilmDescription = z.infer<typeof filmSchema>
export type FilmTrack = z.infer<typeof track>
export type FilmSubtitles = z.infer<typeof subtitles>
export type FilmStoryboard = z.infer<typeof storyboard>
export type TrackMedia = z.infer<typeof trackMediaSchema>
