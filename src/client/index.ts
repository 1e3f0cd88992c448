/// <reference lib="esnext.disposable" preserve="true" />
// The Sealift SDK, for browsers and everything else that has `fetch` and WebCrypto. In Node, `sealift/node` adds files,
// resuming across processes, and speed.
export { SealiftError, isSealiftError } from '../protocol/errors.ts'
export type { ErrorContext, SealiftErrorCode } from '../protocol/errors.ts'
export type { Limits } from '../protocol/response-readers.ts'
export { formatLink, parseLink } from './link.ts'
export type { LinkParts } from './link.ts'
export type { FilmDescription, FilmStoryboard, FilmSubtitles, FilmTrack, TrackMedia } from './manifest/film-readers.ts'
export type { AsyncResource } from './api/async-resource.ts'
export type {
  DownloadResume,
  KeepPlace,
  KeptBytes,
  PlainRange,
  RandomSink,
  RandomSource,
  RandomStore,
  Sink,
  Source,
} from './api/source-and-sink.ts'
export type { Preview } from './manifest/manifest-readers.ts'
export { chooseMediaType, detectMediaType, HEAD_BYTES } from './media-type.ts'
export type {
  CallOptions,
  DownloadOptions,
  ItemPictures,
  LeaseOptions,
  Forwarded,
  ForwardOptions,
  Published,
  RefusedItem,
  RetryEvent,
  RetryOptions,
  SealiftOptions,
  SendItem,
  SendOptions,
  Sent,
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
export type { Transport, TransportRequest, TransportResponse } from './transport/transport.ts'
