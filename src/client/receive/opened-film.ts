import type { BoundedMap } from '../../common/bounded-map.ts'
import { SealiftError } from '../../protocol/errors.ts'
import { chunkOfPlain } from '../../sealing/index.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import { NO_SIGNAL } from '../concurrency/abort.ts'
import type { FilmDescription, FilmTrack, TrackMedia } from '../manifest/film-readers.ts'
import { trackMediaOf } from '../manifest/manifest.ts'
import type { ManifestItem } from '../manifest/manifest.ts'
import type { PlainRange } from '../api/source-and-sink.ts'
import type { Film, FilmReadOptions, ParcelItem } from '../api/parcel.ts'
import { TaskGroup } from '../concurrency/task-group.ts'
import { damagedMedia, receiveError } from '../manifest/media-errors.ts'
import type { DownloadContext } from './download-context.ts'
import { MediaSource } from './media-source.ts'
import { MediaReader } from './media-reader.ts'
import type { ChunkRun, SealedMediaInfo } from './media-reader.ts'

/** What is asked for at once, at least. */
const MIN_RUN_BYTES = 2 * 1024 * 1024
const MAX_READ_BYTES = 256 * 1024 * 1024
const MAX_WHOLE_BYTES = 8 * 1024 * 1024
/** Used as the length of a media item that is still being sent: more than is ever read of it. */
const ENDLESS_CHUNKS = 2 ** 32

/** What the readers of all films of a client share. */
export interface FilmReading {
  readonly context: DownloadContext
  /** The opened chunks that were read last, by media item and chunk. */
  readonly chunks: BoundedMap<string, Uint8Array<ArrayBuffer>>
  /** By the media's id, one for each state: what is sent is opened otherwise than what is complete. */
  readonly media: Map<string, MediaReader>
}

/** Reads tracks at any offset, while they are being sent too. */
export class OpenedFilm implements Film {
  readonly item: ParcelItem
  readonly description: FilmDescription
  readonly #reading: FilmReading
  readonly #entry: ManifestItem

  constructor(reading: FilmReading, film: { item: ParcelItem; entry: ManifestItem; description: FilmDescription }) {
    this.item = film.item
    this.description = film.description
    this.#reading = reading
    this.#entry = film.entry
  }

  async read(
    track: Pick<FilmTrack, 'media'>,
    range: PlainRange,
    options: FilmReadOptions = {},
  ): Promise<Uint8Array<ArrayBuffer>> {
    checkRange(range)
    const media = track.media ?? ownMedia(this.#entry)
    return this.#readMedia(media, range, options)
  }

  async readWhole(media: TrackMedia, options: FilmReadOptions = {}): Promise<Uint8Array<ArrayBuffer>> {
    if (media.state !== 'complete') throw new SealiftError('upload_in_progress', 'This is still being sent')
    if (media.bytes > MAX_WHOLE_BYTES) throw tooLarge(MAX_WHOLE_BYTES)
    return this.#readMedia(media, { start: 0, end: media.bytes }, options)
  }

  async #readMedia(media: TrackMedia, range: PlainRange, options: FilmReadOptions): Promise<Uint8Array<ArrayBuffer>> {
    const target = new Uint8Array(range.end - range.start)
    if (target.byteLength === 0) return target
    try {
      const item = this.#itemOf(media)
      if (range.end > item.bytes) throw damagedMedia()
      await readInto({ item, key: media.media, range, target }, this.#reading, options)
      return target
    } catch (error) {
      throw receiveError(error, media.state === 'sending')
    }
  }

  #itemOf(media: TrackMedia): MediaReader {
    const { context, media: known } = this.#reading
    const name = `${media.state}/${media.media}/${media.key}`
    const item = known.get(name) ?? openMedia(context, media)
    known.set(name, item)
    return item
  }
}

function openMedia({ server, suite }: { server: MediaSource['server']; suite: CryptoSuite }, media: TrackMedia) {
  const sending = media.state === 'sending'
  const source = new MediaSource({
    server,
    mediaId: media.media,
    sealedBytes: sending ? null : media.sealedBytes,
    sending,
  })
  return new MediaReader({ source, suite, role: 'media', facts: factsOf(media) })
}

function factsOf(media: TrackMedia): SealedMediaInfo {
  if (media.state === 'complete') return media
  const { key, commit, chunkBytes } = media
  const endless = ENDLESS_CHUNKS * chunkBytes
  return { key, commit, chunkBytes, sealedBytes: endless, bytes: endless / 2 }
}

/** @throws upload_in_progress when the item has no bytes of its own yet */
function ownMedia(entry: ManifestItem): TrackMedia {
  const media = trackMediaOf(entry)
  if (!media) throw new SealiftError('upload_in_progress', 'Nothing of this is there yet')
  return media
}

interface TrackRead {
  readonly item: MediaReader
  /** Names the media among those of the cache. */
  readonly key: string
  readonly range: PlainRange
  readonly target: Uint8Array<ArrayBuffer>
}

async function readInto(
  read: TrackRead,
  { context, chunks }: FilmReading,
  { signal = NO_SIGNAL, onFetched, onBytes, onRetry }: FilmReadOptions,
): Promise<void> {
  const { item, key, range } = read
  const front = onBytes && new Front(read, onBytes)
  const first = chunkOfPlain(range.start, item.chunkBytes)
  const last = chunkOfPlain(range.end - 1, item.chunkBytes)
  const missing: number[] = []
  for (let chunk = first; chunk <= last; chunk += 1) {
    const cached = chunks.touch(`${key}/${chunk}`)
    if (cached) {
      copy(read, cached, item.plainStart(chunk))
      front?.came(chunk)
    } else missing.push(chunk)
  }
  const group = new TaskGroup(signal)
  for (const run of runsOf(missing, perRun(item.chunkBytes, { chunks: missing.length, parallel: context.parallel }))) {
    group.spawn(inner =>
      context.ranges(() =>
        item.read(
          run,
          (bytes, at) => {
            copy(read, bytes, at)
            onFetched?.(bytes.byteLength)
            const chunk = chunkOfPlain(at, item.chunkBytes)
            front?.came(chunk)
            // Segments share the chunks at their borders.
            if (chunk === first || chunk === last) chunks.set(`${key}/${chunk}`, bytes)
          },
          inner,
          onRetry,
        ),
      ),
    )
  }
  await group.join()
}

/** Reports the bytes before the first chunk that has not arrived. */
class Front {
  readonly #read: TrackRead
  readonly #give: (bytes: Uint8Array<ArrayBuffer>) => void
  readonly #came = new Set<number>()
  #next: number
  #given = 0

  constructor(read: TrackRead, give: (bytes: Uint8Array<ArrayBuffer>) => void) {
    this.#read = read
    this.#give = give
    this.#next = chunkOfPlain(read.range.start, read.item.chunkBytes)
  }

  came(chunk: number): void {
    this.#came.add(chunk)
    while (this.#came.delete(this.#next)) this.#next += 1
    const { item, range, target } = this.#read
    const end = Math.min(range.end, item.plainStart(this.#next)) - range.start
    if (end <= this.#given) return
    const bytes = target.subarray(this.#given, end)
    this.#given = end
    this.#give(bytes)
  }
}

/** Some bytes at least, so that a segment is few requests; several requests, so that a large one is soon there. */
function perRun(chunkBytes: number, { chunks, parallel }: { chunks: number; parallel: number }): number {
  return Math.max(Math.ceil(MIN_RUN_BYTES / chunkBytes), Math.ceil(chunks / parallel))
}

function* runsOf(chunks: readonly number[], most: number): Generator<ChunkRun> {
  let run: { first: number; last: number } | null = null
  for (const chunk of chunks) {
    if (run && chunk === run.last + 1 && chunk - run.first < most) run.last = chunk
    else {
      if (run) yield run
      run = { first: chunk, last: chunk }
    }
  }
  if (run) yield run
}

function copy({ range, target }: TrackRead, bytes: Uint8Array, at: number): void {
  const part = bytes.subarray(Math.max(0, range.start - at), Math.max(0, range.end - at))
  target.set(part, Math.max(0, at - range.start))
}

function checkRange({ start, end }: PlainRange): void {
  if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end < start)
    throw new SealiftError('invalid_request', 'A range begins and ends at whole numbers from 0')
  if (end - start > MAX_READ_BYTES) throw tooLarge(MAX_READ_BYTES)
}

function tooLarge(maxBytes: number): SealiftError {
  return new SealiftError('too_large', 'This is too large to be held in memory', {
    context: { limit: 'maxBytes', value: maxBytes },
  })
}
