import type { CryptoSuite } from '../../sealing/index.ts'
import { NumberList } from '../../client/original/run-index.ts'

/** Four 32-bit words: a SHA-256, its first half. */
export type Fingerprint = readonly [number, number, number, number]

export interface SampleFacts {
  readonly offset: number
  readonly length: number
  /** As `headAt` gives. */
  readonly head: number
  /** The last four bytes. */
  readonly tail: number
  readonly print: Fingerprint
}

/** 2 MiB, of which a million samples set a sixteenth. */
const FILTER_BITS = 24
const BUCKET_BITS = 20
/** Different samples that begin alike: only the first ones are found. */
const MAX_ALIKE = 32

/** Where samples lie, looked up by their first bytes: forty bytes each. */
export class SampleTable {
  readonly #offsets = new NumberList(64)
  readonly #lengths = new NumberList(32)
  readonly #heads = new NumberList(32)
  readonly #tails = new NumberList(32)
  readonly #prints = [new NumberList(32), new NumberList(32), new NumberList(32), new NumberList(32)] as const
  readonly #filter = new Uint8Array(2 ** (FILTER_BITS - 3))
  /** One more than the newest sample of each bucket; each sample points to the one before. 0: none. */
  readonly #buckets = new Uint32Array(2 ** BUCKET_BITS)
  readonly #before = new NumberList(32)

  get length(): number {
    return this.#offsets.length
  }

  add(sample: SampleFacts): void {
    this.#offsets.push(sample.offset)
    this.#lengths.push(sample.length)
    this.#heads.push(sample.head)
    this.#tails.push(sample.tail)
    for (const [word, numbers] of this.#prints.entries()) numbers.push(sample.print[word] ?? 0)
    this.#enter(this.length - 1, sample)
  }

  /** Whether a sample may begin so; fast, with false positives. */
  mayBegin(head: number): boolean {
    const bit = head >>> (32 - FILTER_BITS)
    return ((this.#filter[bit >>> 3] ?? 0) & (1 << (bit & 7))) !== 0
  }

  /** The samples that begin so; one of those that are equal. */
  *beginningSo(head: number): Generator<number, void> {
    for (let next = this.#buckets[head >>> (32 - BUCKET_BITS)] ?? 0; next > 0; next = this.#before.at(next - 1)) {
      if (this.#heads.at(next - 1) === head) yield next - 1
    }
  }

  beginsSo(index: number, head: number): boolean {
    return this.#heads.at(index) === head
  }

  endsSo(index: number, tail: number): boolean {
    return this.#tails.at(index) === tail
  }

  offsetOf(index: number): number {
    return this.#offsets.at(index)
  }

  lengthOf(index: number): number {
    return this.#lengths.at(index)
  }

  hasPrint(index: number, print: Fingerprint): boolean {
    return this.#prints.every((numbers, word) => numbers.at(index) === print[word])
  }

  /** Enters a sample into its bucket. An equal one is not entered again: it is found as the successor of another. */
  #enter(index: number, { head, length, print }: SampleFacts): void {
    let alike = 0
    for (const other of this.beginningSo(head)) {
      const isSame = this.lengthOf(other) === length && this.hasPrint(other, print)
      alike += 1
      if (isSame || alike === MAX_ALIKE) {
        this.#before.push(0)
        return
      }
    }
    const bucket = head >>> (32 - BUCKET_BITS)
    this.#before.push(this.#buckets[bucket] ?? 0)
    this.#buckets[bucket] = index + 1
    const bit = head >>> (32 - FILTER_BITS)
    this.#filter[bit >>> 3] = (this.#filter[bit >>> 3] ?? 0) | (1 << (bit & 7))
  }
}

/** Bytes at the start of a sample that it is looked up by: many samples share the first eight. */
export const SAMPLE_HEAD_BYTES = 16

/** Hash of the first bytes, from four little-endian words. */
export function headOf(first: number, second: number, third: number, fourth: number): number {
  const front = Math.imul(first, 0x9e_37_79_b1) ^ Math.imul(second, 0x85_eb_ca_6b)
  const mixed = front ^ Math.imul(third, 0x27_d4_eb_2f) ^ Math.imul(fourth, 0x16_56_67_b1)
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2_b2_ae_35) >>> 0
}

/** @param bytes `SAMPLE_HEAD_BYTES` of them at least */
export function headAt(bytes: Uint8Array, at: number): number {
  return headOf(wordAt(bytes, at), wordAt(bytes, at + 4), wordAt(bytes, at + 8), wordAt(bytes, at + 12))
}

export function wordAt(bytes: Uint8Array, at: number): number {
  const low = (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8)
  return (low | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24)) >>> 0
}

export function printOf(digest: Uint8Array): Fingerprint {
  return [wordAt(digest, 0), wordAt(digest, 4), wordAt(digest, 8), wordAt(digest, 12)]
}

/** Reads bytes of the file; `null` when it ends before. */
export type BytesFrom = (position: number, length: number) => Promise<Uint8Array | null>

/** Finds samples in a file by their first and last bytes, and verifies them by SHA-256. */
export class SampleFinder {
  readonly #table: SampleTable
  readonly #suite: Pick<CryptoSuite, 'sha256'>
  #next = 0
  #hashedInVain = 0

  constructor(table: SampleTable, suite: Pick<CryptoSuite, 'sha256'>) {
    this.#table = table
    this.#suite = suite
  }

  /** Bytes that were hashed and turned out to be no sample. */
  get hashedInVain(): number {
    return this.#hashedInVain
  }

  /** The first index from `from` on where a sample may begin, or the first that needs more bytes to decide. */
  candidate(bytes: Uint8Array, from: number): number {
    const end = bytes.byteLength - SAMPLE_HEAD_BYTES
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
      fourth = ((fourth >>> 8) | ((bytes[at + SAMPLE_HEAD_BYTES] ?? 0) << 24)) >>> 0
    }
    return end + 1
  }

  /** The sample at a position of the file; among equal ones, the one behind the sample that was found last. */
  async at(position: number, bytesFrom: BytesFrom): Promise<{ offset: number; length: number } | null> {
    const start = await bytesFrom(position, SAMPLE_HEAD_BYTES)
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

  /** The longest first: a shorter one may be the beginning of a longer one. */
  #candidates(head: number): number[] {
    const next = this.#next
    const alike = Array.from(this.#table.beginningSo(head))
    if (next < this.#table.length && this.#table.beginsSo(next, head)) alike.unshift(next)
    return alike.length < 2 ? alike : alike.sort((a, b) => this.#table.lengthOf(b) - this.#table.lengthOf(a))
  }
}
