import { HEADER_BYTES, plainLength, TAG_BYTES } from '../../sealing/index.ts'
import type { DownloadResume, KeptBytes, PlainRange } from '../api/source-and-sink.ts'
import type { ItemWithOriginal } from '../manifest/manifest.ts'
import type { TakeChunk } from './chunk-store.ts'
import { damagedMedia } from '../manifest/media-errors.ts'
import { followChunks } from './follow-media.ts'
import type { FollowOptions } from './follow-media.ts'
import type { OwnChunks } from './original-file.ts'
import { merged } from './chunk-runs.ts'
import { isZeroFrom } from './media-reader.ts'
import type { MediaReader } from './media-reader.ts'

/** Followed bytes are recorded for a later download each time this many have been stored. */
const NOTE_BYTES = 1024 * 1024
/** Size of the reads that check the padding. */
const READ_BYTES = 1024 * 1024

/** The stored plaintext of a film, padding included, chunk by chunk. */
export class StoredFilm {
  readonly #stored: KeptBytes
  #ranges: PlainRange[]
  #noted: number

  constructor(stored: KeptBytes) {
    this.#stored = stored
    this.#ranges = merged(stored.resume.finished)
    this.#noted = this.prefixBytes
  }

  /** Length of the bytes that are stored from the first on without a gap. */
  get prefixBytes(): number {
    const [first] = this.#ranges
    return first?.start === 0 ? first.end : 0
  }

  get bytes(): number {
    return this.#ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  }

  /** Stores what follows the prefix; the bytes then belong to the store. */
  async append(bytes: Uint8Array<ArrayBuffer>, start: number): Promise<void> {
    const end = start + bytes.byteLength
    await this.#stored.store.write(bytes, start)
    this.#ranges = merged([...this.#ranges, { start, end }])
    if (end - this.#noted >= NOTE_BYTES) await this.note()
  }

  /** Records for a later download what was appended. */
  async note(): Promise<void> {
    const range = { start: this.#noted, end: this.prefixBytes }
    if (range.end <= range.start) return
    this.#noted = range.end
    await this.#stored.resume.onFinished(range)
  }

  /** Resumes with the missing ranges, in any order. */
  resume(): Pick<DownloadResume, 'finished' | 'onFinished'> {
    return {
      finished: this.#ranges,
      onFinished: async range => {
        this.#ranges = merged([...this.#ranges, range])
        await this.#stored.resume.onFinished(range)
      },
    }
  }

  /** @throws damaged_media unless all padding bytes are zero */
  async checkPadding({ bytes, sealedBytes, chunkBytes }: ItemWithOriginal, signal: AbortSignal): Promise<void> {
    const padded = plainLength(sealedBytes, chunkBytes)
    for (let at = bytes; at < padded; at += READ_BYTES) {
      const read = await this.#stored.store.read(at, Math.min(padded, at + READ_BYTES), signal)
      if (!isZeroFrom(read, 0)) throw damagedMedia()
    }
  }

  /** Its chunks, when all of them are stored. */
  chunksOf(item: MediaReader): OwnChunks {
    return {
      take: async (wanted: readonly number[], take: TakeChunk, signal: AbortSignal): Promise<void> => {
        for (const chunk of wanted) {
          take(chunk, await this.#stored.store.read(item.plainStart(chunk), item.plainStart(chunk + 1), signal))
        }
      },
    }
  }
}

/**
 * Stores the plaintext of a media item while it is being sent, from where the stored bytes end, until the upload has
 * ended. The last chunk is left out: `resume` fetches it with all that is missing.
 */
export async function storeGrowing(
  { film, moved, ...follow }: FollowOptions & { readonly film: StoredFilm; readonly moved: (bytes: number) => void },
  signal: AbortSignal,
): Promise<void> {
  const plainPerChunk = follow.facts.chunkBytes - TAG_BYTES
  const first = Math.floor((film.prefixBytes + HEADER_BYTES) / plainPerChunk)
  try {
    for await (const { index, plain, last } of followChunks(follow, first, signal)) {
      if (last) return
      moved(plain.byteLength)
      await film.append(plain, Math.max(0, index * plainPerChunk - HEADER_BYTES))
    }
  } finally {
    await film.note()
  }
}
