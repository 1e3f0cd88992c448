import type { CryptoSuite } from '../../sealing/index.ts'
import { HEAD_BYTES, headAt, headOf, printOf, wordAt } from './sample-table.ts'
import type { Fingerprint, SampleTable } from './sample-table.ts'

/** Gives the bytes from a position on, so many; `null` when the file ends before. */
export type BytesFrom = (position: number, length: number) => Promise<Uint8Array | null>

/** Finds samples in a file: by their first bytes and their last, and proves them by their SHA-256. */
export class SampleFinder {
  readonly #table: SampleTable
  readonly #suite: Pick<CryptoSuite, 'sha256'>
  #next = 0
  #hashedInVain = 0

  constructor(table: SampleTable, suite: Pick<CryptoSuite, 'sha256'>) {
    this.#table = table
    this.#suite = suite
  }

  /** Bytes that were hashed and turned out to be something else. */
  get hashedInVain(): number {
    return this.#hashedInVain
  }

  /** The first place from `from` on where a sample may begin, or as far as can be told from these bytes. */
  candidate(bytes: Uint8Array, from: number): number {
    const end = bytes.byteLength - HEAD_BYTES
    if (from > end) return from
    let first = wordAt(bytes, from)
    let second = wordAt(bytes, from + 4)
    let third = wordAt(bytes, from + 8)
    let fourth = wordAt(bytes, from + 12)
    for (let at = from; at <= end; at += 1) {
      if (this.#table.mayBegin(headOf(first, second, third, fourth))) return at
      first = ((first >>> 8) | (second << 24)) >>> 0
      second = ((second >>> 8) | (third << 24)) >>> 0
      third = ((third >>> 8) | (fourth << 24)) >>> 0
      fourth = ((fourth >>> 8) | ((bytes[at + HEAD_BYTES] ?? 0) << 24)) >>> 0
    }
    return end + 1
  }

  /** The sample that stands at a position; among equal ones, that behind the one which was found last. */
  async at(position: number, bytesFrom: BytesFrom): Promise<{ offset: number; length: number } | null> {
    const start = await bytesFrom(position, HEAD_BYTES)
    if (!start) return null
    const head = headAt(start, 0)
    const prints = new Map<number, Fingerprint>()
    for (const index of this.#candidates(head)) {
      const length = this.#table.lengthOf(index)
      const bytes = await bytesFrom(position, length)
      if (!bytes || !this.#table.endsSo(index, wordAt(bytes, length - 4))) continue
      const print = prints.get(length) ?? printOf(this.#suite.sha256().update(bytes).digest())
      prints.set(length, print)
      if (this.#table.hasPrint(index, print)) {
        this.#next = index + 1
        return { offset: this.#table.offsetOf(index), length }
      }
      this.#hashedInVain += length
    }
    return null
  }

  /** The longest first: what begins like a longer one may be its beginning. */
  #candidates(head: number): number[] {
    const next = this.#next
    const alike = Array.from(this.#table.beginningSo(head))
    if (next < this.#table.length && this.#table.beginsSo(next, head)) alike.unshift(next)
    return alike.length < 2 ? alike : alike.sort((a, b) => this.#table.lengthOf(b) - this.#table.lengthOf(a))
  }
}
