/**
 * The Sealift SDK, for browsers and everything else that has `fetch` and WebCrypto. In Node, `sealift/node` adds files,
 * resuming across processes, and speed.
 */
export { SealiftError, isSealiftError } from '../protocol/errors.ts'
export type { ErrorContext, SealiftErrorCode } from '../protocol/errors.ts'
export type { Limits } from '../protocol/response-readers.ts'
export { formatLink, parseLink } from './link.ts'
export type { LinkParts } from './link.ts'
export type { FilmDescription, FilmStoryboard, FilmSubtitles, FilmTrack, TrackMedia } from './film-readers.ts'
export type { KeepPlace, KeptBytes, RandomStore } from './api/source-and-sink.ts'
export type { Preview } from './manifest-readers.ts'
export { chooseMediaType, detectMediaType, HEAD_BYTES } from './media-type.ts'
export type {
  CallOptions,
  DownloadOptions,
  DownloadResume,
  ItemPictures,
  LeaseOptions,
  PlainRange,
  Forwarded,
  Published,
  RefusedItem,
  RetryEvent,
  RetryOptions,
  SealiftOptions,
  SendItem,
  SendOptions,
  TransferOptions,
} from './api/options.ts'
export type {
  BegunFilm,
  FilmMaker,
  MadeBytes,
  OutgoingFilm,
  OutgoingOriginal,
  PlainFile,
  TrackProgress,
} from './api/outgoing-film.ts'
export type {
  DownloadTarget,
  Film,
  FilmReadOptions,
  ItemResult,
  OpenedSink,
  Parcel,
  ParcelItem,
  StreamOptions,
} from './api/parcel.ts'
export type { ItemProgress, Progress } from './progress.ts'
export { Sealift } from './sealift.ts'
export type { ForwardOptions, Sent } from './sealift.ts'
export type { RandomSink, Sink } from './api/source-and-sink.ts'
export type { RandomSource, Source } from './api/source-and-sink.ts'
export type { Transport, TransportRequest, TransportResponse } from './transport/transport.ts'
