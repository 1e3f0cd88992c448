import { SealingError } from './sealing-error.ts'

const KEPT_BYTES = 8
const CHUNKS_PER_PAGE = 1024

/**
 * Remembers the tag of every chunk a sealer has sealed, so that one nonce never serves two plaintexts: that would
 * give both away. Sealing the same bytes again (a retry) gives the same tag and passes.
 *
 * Keeps 8 bytes of each tag, in pages: 32 KiB of memory per GiB sealed in chunks of the default size.
 */
export class NonceGuard {
  readonly #pages = new Map<number, BigUint64Array>()
  readonly #seen = new Map<number, Uint8Array>()
  #highest = -1
  #final: number | undefined

  /** Notes where the plaintext ends and how far it goes. Throws `source_changed` when that contradicts itself. */
  claim(index: number, last: boolean): void {
    const end = this.#final
    const fitsLast = end === undefined ? index > this.#highest : index === end
    if (last ? !fitsLast : index >= (end ?? Infinity)) throw sourceChanged()
    this.#highest = Math.max(this.#highest, index)
    if (last) this.#final = index
  }

  /** Remembers the tag that ends `sealed`. Throws `source_changed` when this index had another one before. */
  remember(index: number, sealed: Uint8Array): void {
    const tag = new DataView(sealed.buffer, sealed.byteOffset + sealed.byteLength - KEPT_BYTES).getBigUint64(0)
    const number = Math.floor(index / CHUNKS_PER_PAGE)
    const slot = index % CHUNKS_PER_PAGE
    const { tags, seen } = this.#page(number)
    if (seen[slot] === 1 && tags[slot] !== tag) throw sourceChanged()
    tags[slot] = tag
    seen[slot] = 1
  }

  #page(number: number): { tags: BigUint64Array; seen: Uint8Array } {
    const tags = this.#pages.get(number) ?? new BigUint64Array(CHUNKS_PER_PAGE)
    const seen = this.#seen.get(number) ?? new Uint8Array(CHUNKS_PER_PAGE)
    this.#pages.set(number, tags)
    this.#seen.set(number, seen)
    return { tags, seen }
  }
}

function sourceChanged(): SealingError {
  return new SealingError(
    'source_changed',
    'Other bytes were sealed at this place before: the source has changed. Start over with a new key',
  )
}
