import { SealiftError } from '../../protocol/errors.ts'
import {
  COPY,
  MAX_COPIES,
  MAX_ORIGINAL_BYTES,
  MAX_RUNS,
  RUN_LIST_VERSION,
  SHA256_BYTES,
  unzigzag,
  VarintReader,
} from './run-list.ts'
import type { Run } from './run-list.ts'

export interface RunListReaderOptions {
  /** Length of the file that the list puts together, as its manifest says. */
  readonly bytes: number
  /** Length of what runs are copied from. */
  readonly sourceBytes: number
  readonly onRun: (run: Run) => void
}

type Expects = 'version' | 'bytes' | 'length' | 'offset' | 'sha256'

/**
 * Reads a list as it arrives, in pieces of any size. The list is untrusted: a run is reported only when it lies within
 * the file and, if it is copied, within what it is copied from. Memory is constant.
 */
export class RunListReader {
  readonly #options: RunListReaderOptions
  readonly #varint = new VarintReader()
  readonly #sha256 = new Uint8Array(SHA256_BYTES)
  #expects: Expects = 'version'
  /** Bytes of the list behind us. */
  #at = 0
  #skip = 0
  #sha256Bytes = 0
  #runs = 0
  #position = 0
  #copied = 0
  #copiedBytes = 0
  #length = 0

  constructor(options: RunListReaderOptions) {
    this.#options = options
  }

  /** @throws damaged_media, unsupported_version */
  push(piece: Uint8Array): void {
    for (let at = 0; at < piece.byteLength;) {
      const skipped = Math.min(this.#skip, piece.byteLength - at)
      this.#skip -= skipped
      this.#at += skipped
      at += skipped
      const byte = piece[at]
      if (byte === undefined) return
      this.#at += 1
      at += 1
      this.#take(byte)
    }
  }

  /** The SHA-256 of the file. @throws damaged_media when the list is not whole */
  end(): Uint8Array<ArrayBuffer> {
    if (this.#sha256Bytes !== SHA256_BYTES) throw damaged()
    return this.#sha256
  }

  #take(byte: number): void {
    if (this.#expects === 'version') return this.#takeVersion(byte)
    if (this.#expects === 'sha256') return this.#takeSha256(byte)
    const value = this.#varint.take(byte)
    if (value === undefined) throw damaged()
    if (value === null) return
    if (this.#expects === 'bytes') this.#takeBytes(value)
    else if (this.#expects === 'length') this.#takeLength(value)
    else this.#takeOffset(value)
  }

  #takeVersion(version: number): void {
    if (version > RUN_LIST_VERSION) {
      throw new SealiftError('unsupported_version', 'This was sent by a newer version of Sealift: update to receive it')
    }
    if (version !== RUN_LIST_VERSION) throw damaged()
    this.#expects = 'bytes'
  }

  #takeBytes(bytes: number): void {
    if (bytes !== this.#options.bytes || bytes > MAX_ORIGINAL_BYTES) throw damaged()
    this.#expectRun()
  }

  #takeLength(value: number): void {
    this.#length = Math.floor(value / 2)
    if (this.#length === 0 || this.#length > this.#options.bytes - this.#position) throw damaged()
    if (value % 2 === COPY) {
      this.#expects = 'offset'
      return
    }
    this.#skip = this.#length
    this.#add({ copy: false, length: this.#length, from: this.#at })
  }

  #takeOffset(value: number): void {
    const from = this.#copied + unzigzag(value)
    this.#copied = from + this.#length
    this.#copiedBytes += this.#length
    const { sourceBytes } = this.#options
    if (from < 0 || this.#copied > sourceBytes || this.#copiedBytes > MAX_COPIES * sourceBytes) throw damaged()
    this.#add({ copy: true, length: this.#length, from })
  }

  #add(run: Run): void {
    this.#runs += 1
    if (this.#runs > MAX_RUNS) throw damaged()
    this.#position += run.length
    this.#options.onRun(run)
    this.#expectRun()
  }

  #expectRun(): void {
    this.#expects = this.#position < this.#options.bytes ? 'length' : 'sha256'
  }

  #takeSha256(byte: number): void {
    if (this.#sha256Bytes === SHA256_BYTES) throw damaged()
    this.#sha256[this.#sha256Bytes] = byte
    this.#sha256Bytes += 1
  }
}

function damaged(): SealiftError {
  return new SealiftError('damaged_media', 'The description of the original file cannot be read')
}
