/** How a film is laid out. Written by `npm run docs` from manifest-schema.ts. */
import {
  array,
  boolean,
  integer,
  number,
  oneOf,
  openObject,
  optional,
  string,
  tuple,
  variants,
  type Reader,
} from '../../protocol/reader.ts'

/** All sealed bytes of a track. */
export interface CompleteTrackMedia {
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

export const completeTrackMediaReader: Reader<CompleteTrackMedia> = openObject<CompleteTrackMedia>({
  bytes: integer(0),
  media: string({ pattern: /^[a-z2-7]{26}$/ }),
  key: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
  chunkBytes: integer(1024, 1048576),
  sealedBytes: integer(1),
  sha256: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
  commit: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
  state: oneOf('complete'),
})

/** A track that is still being sent. */
export interface SendingTrackMedia {
  state: 'sending'
  /** Id of the media on the server */
  media: string
  /** What opens it */
  key: string
  /** Commitment to the key; compared before anything is opened */
  commit: string
  /** Of the sealed bytes */
  chunkBytes: number
  [field: string]: unknown
}

export const sendingTrackMediaReader: Reader<SendingTrackMedia> = openObject<SendingTrackMedia>({
  state: oneOf('sending'),
  media: string({ pattern: /^[a-z2-7]{26}$/ }),
  key: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
  commit: string({ pattern: /^[A-Za-z0-9_-]{43}$/ }),
  chunkBytes: integer(1024, 1048576),
})

/** What opens a track: sealed as role `media`. */
export type TrackMedia = CompleteTrackMedia | SendingTrackMedia

export const trackMediaReader: Reader<TrackMedia> = variants('state', {
  complete: completeTrackMediaReader,
  sending: sendingTrackMediaReader,
})

/** One fragmented MP4 file. */
export interface FilmTrack {
  /** Absent: the item's own bytes */
  media?: TrackMedia | undefined
  /** BCP 47 */
  language?: string | undefined
  /** To choose by */
  name?: string | undefined
  /** The track that plays by default */
  isDefault?: boolean | undefined
  /** RFC 6381, separated by commas */
  codecs: string
  /** Bits per second of the densest segment */
  bandwidth: number
  /** Bits per second */
  averageBandwidth?: number | undefined
  /** Pixels, as shown */
  width?: number | undefined
  /** Pixels, as shown */
  height?: number | undefined
  /** Pictures per second */
  frameRate?: number | undefined
  /** Offset and length of the initialization segment */
  init: [number, number]
  /** Offset, length, duration in seconds; ascending */
  segments: [number, number, number][]
  [field: string]: unknown
}

export const filmTrackReader: Reader<FilmTrack> = openObject<FilmTrack>({
  media: optional(trackMediaReader),
  language: optional(string({ max: 255 })),
  name: optional(string({ max: 255 })),
  isDefault: optional(boolean),
  codecs: string({ min: 1, max: 255 }),
  bandwidth: integer(1),
  averageBandwidth: optional(integer(1)),
  width: optional(integer(1, 32768)),
  height: optional(integer(1, 32768)),
  frameRate: optional(number(0, 1000)),
  init: tuple(integer(0), integer(1, 268435456)),
  segments: array(tuple(integer(0), integer(1, 268435456), number(0, 3600)), { max: 100000 }),
})

/** Text as WebVTT, in sealed bytes of its own. */
export interface FilmSubtitles {
  /** `complete`: WebVTT, whole */
  media: CompleteTrackMedia
  /** BCP 47 */
  language?: string | undefined
  /** To choose by */
  name?: string | undefined
  /** The track that plays by default */
  isDefault?: boolean | undefined
  /** Shown even to who wants no subtitles */
  isForced?: boolean | undefined
  [field: string]: unknown
}

export const filmSubtitlesReader: Reader<FilmSubtitles> = openObject<FilmSubtitles>({
  media: completeTrackMediaReader,
  language: optional(string({ max: 255 })),
  name: optional(string({ max: 255 })),
  isDefault: optional(boolean),
  isForced: optional(boolean),
})

/** Sheets of small JPEG pictures of a film. */
export interface FilmStoryboard {
  /** `complete`: all sheets, one behind the other */
  media: CompleteTrackMedia
  /** Seconds from one picture to the next */
  everySeconds: number
  /** Pictures side by side on a sheet */
  columns: number
  /** Pictures one below the other on a sheet */
  rows: number
  /** Pixels */
  tileWidth: number
  /** Pixels */
  tileHeight: number
  /** Offset and length; in order; the last one may hold fewer pictures */
  sheets: [number, number][]
  [field: string]: unknown
}

export const filmStoryboardReader: Reader<FilmStoryboard> = openObject<FilmStoryboard>({
  media: completeTrackMediaReader,
  everySeconds: number(0.1, 3600),
  columns: integer(1, 100),
  rows: integer(1, 100),
  tileWidth: integer(1, 2048),
  tileHeight: integer(1, 2048),
  sheets: array(tuple(integer(0), integer(1, 268435456)), { max: 1000 }),
})

/** How a film is laid out: what a player needs to choose and where it reads; offsets and lengths of plaintext. */
export interface FilmDescription {
  /** `sending`: more segments will follow */
  state: 'sending' | 'complete'
  /** Duration; absent while it is not known */
  seconds?: number | undefined
  /** The same pictures (or, without any, the same sound) in different sizes, best first */
  renditions: FilmTrack[]
  /** Sound apart from the renditions, when there is a choice */
  audio?: FilmTrack[] | undefined
  /** To choose from */
  subtitles?: FilmSubtitles[] | undefined
  /** What to show while a place is being looked for */
  storyboard?: FilmStoryboard | undefined
  [field: string]: unknown
}

export const filmDescriptionReader: Reader<FilmDescription> = openObject<FilmDescription>({
  state: oneOf('sending', 'complete'),
  seconds: optional(number(0)),
  renditions: array(filmTrackReader, { min: 1, max: 64 }),
  audio: optional(array(filmTrackReader, { max: 64 })),
  subtitles: optional(array(filmSubtitlesReader, { max: 64 })),
  storyboard: optional(filmStoryboardReader),
})
