import { plainLength } from '../../sealing/index.ts'
import type { KeptBytes } from '../api/source-and-sink.ts'
import type { MadeItem } from '../manifest.ts'
import type { DownloadResume, PlainRange } from '../api/options.ts'
import type { TakeChunk } from './chunk-store.ts'
import { damagedMedia } from '../manifest/media-errors.ts'
import type { OwnChunks } from './original-file.ts'
import { merged } from './chunk-runs.ts'
import { isZeroFrom } from './media-reader.ts'
import type { MediaReader } from './media-reader.ts'

/** Followed bytes are noted when so many have come. */
const NOTE_BYTES = 1024 * 1024
/** What padding is read in to be checked. */
const READ_BYTES = 1024 * 1024

/** What a place holds of a film: its plaintext, padding included, chunk by chunk. */
export class StoredFilm {
  readonly #kept: KeptBytes
  #ranges: PlainRange[]
  #noted: number

  constructor(kept: KeptBytes) {
    this.#kept = kept
    this.#ranges = merged(kept.resume.finished)
    this.#noted = this.prefixBytes
  }

  /** Where the bytes that are kept from the first on end. */
  get prefixBytes(): number {
    const [first] = this.#ranges
    return first?.start === 0 ? first.end : 0
  }

  get bytes(): number {
    return this.#ranges.reduce((sum, { start, end }) => sum + end - start, 0)
  }

  /** Takes what follows on the prefix; the bytes are the store's from then on. */
  async append(bytes: Uint8Array<ArrayBuffer>, start: number): Promise<void> {
    const end = start + bytes.byteLength
    await this.#kept.store.write(bytes, start)
    this.#ranges = merged([...this.#ranges, { start, end }])
    if (end - this.#noted >= NOTE_BYTES) await this.note()
  }

  /** Lets a later download know of what was appended. */
  async note(): Promise<void> {
    const range = { start: this.#noted, end: this.prefixBytes }
    if (range.end <= range.start) return
    this.#noted = range.end
    await this.#kept.resume.onFinished(range)
  }

  /** For the rest of it, in any order. */
  resume(): Pick<DownloadResume, 'finished' | 'onFinished'> {
    return {
      finished: this.#ranges,
      onFinished: async range => {
        this.#ranges = merged([...this.#ranges, range])
        await this.#kept.resume.onFinished(range)
      },
    }
  }

  /** @throws damaged_media unless all of the padding is zeros, as in any item */
  async checkPadding({ bytes, sealedBytes, chunkBytes }: MadeItem, signal: AbortSignal): Promise<void> {
    const padded = plainLength(sealedBytes, chunkBytes)
    for (let at = bytes; at < padded; at += READ_BYTES) {
      const read = await this.#kept.store.read(at, Math.min(padded, at + READ_BYTES), signal)
      if (!isZeroFrom(read, 0)) throw damagedMedia()
    }
  }

  /** Its chunks, once all of them are kept. */
  chunksOf(item: MediaReader): OwnChunks {
    return {
      take: async (wanted: readonly number[], take: TakeChunk, signal: AbortSignal): Promise<void> => {
        for (const chunk of wanted) {
          take(chunk, await this.#kept.store.read(item.plainStart(chunk), item.plainStart(chunk + 1), signal))
        }
      },
    }
  }
}
