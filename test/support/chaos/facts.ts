/**
 * What the senders of a run were told. What was acknowledged binds the server; what was asked but never responded may
 * have happened or not, but never by half.
 */
import type { DirectAddress } from '../../../src/protocol/schemas.ts'
import { bytesFor } from '../random.ts'

export type Told = 'no' | 'asked' | 'acknowledged'

export const PART_BYTES = 256 * 1024

/** Bytes that several media may share by forwarding. */
export interface Content {
  readonly name: string
  readonly sizeBytes: number
  /** As first told; it never changes. */
  etag: string | null
}

export const bytesOf = ({ name, sizeBytes }: Content): Buffer => bytesFor(name, sizeBytes)

export const partsOf = ({ sizeBytes }: Content): number => Math.ceil(sizeBytes / PART_BYTES)

export function partOf(content: Content, index: number): Buffer {
  return bytesOf(content).subarray(index * PART_BYTES, (index + 1) * PART_BYTES)
}

export interface MediaFacts {
  readonly mediaId: string
  /** Who made it. */
  readonly client: number
  readonly content: Content
  /** `null` when it came in one request or by forwarding. */
  readonly upload: UploadFacts | null
  readonly maxDownloads: number | null
  complete: Told
  /** Deleted, given up, or ended with its parcel. */
  ended: Told
  /** Downloads that were begun without a grant, whatever came of them. */
  begun: number
  /** Grants under which at least one byte arrived. */
  readonly delivered: Set<string>
  inParcel: boolean
}

export interface UploadFacts {
  readonly uploadId: string
  readonly declared: boolean
  readonly askedParts: Set<number>
  readonly acknowledgedParts: Set<number>
  /** How often an address, or its confirmation, was asked for, by part. */
  readonly directTurns: Map<number, number>
  /** From when on a follower may have got its last byte; ms of the run. */
  closingAt: number | null
}

export interface ParcelRecord {
  readonly parcelId: string
  readonly client: number
  readonly media: readonly MediaFacts[]
  /** Manifests that were sent to become each version. */
  readonly asked: Map<number, Buffer[]>
  /** Which of them was acknowledged. */
  readonly acknowledged: Map<number, Buffer>
  ended: Told
}

export const newestAcknowledged = ({ acknowledged }: ParcelRecord): number => Math.max(...acknowledged.keys())

/** A POST that makes something: repeated with the same key until it gets a response. */
export interface Creation {
  readonly key: string
  readonly client: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: () => Buffer
  /** Notes what was made. */
  readonly made: (json: unknown) => void
  /** Responses, besides the usual, that mean nothing was made, and are right. */
  readonly refusedRightly: (code: string) => boolean
}

/** Slots that a client certainly held, in ms of the run. */
export interface HeldSpan {
  readonly client: number
  readonly direction: 'upload' | 'download'
  readonly node: number
  readonly start: number
  readonly end: number
}

/** Other bytes for a part, and an address that was given for them. */
export interface ForgedPart {
  readonly media: MediaFacts
  readonly index: number
  readonly part: Buffer
  readonly address: DirectAddress
  /** Until when the address works; ms of the run. */
  readonly untilMs: number
}

export class ChaosFacts {
  readonly media: MediaFacts[] = []
  readonly parcels: ParcelRecord[] = []
  /** Asked and not responded, or responded with a failure that may have left something. */
  readonly open = new Set<Creation>()
  /** What each key has made. */
  readonly made = new Map<string, string>()
  readonly held: HeldSpan[] = []
  readonly forged: ForgedPart[] = []

  /** Whether this is an unfinished upload that somebody wished to end: its key may begin another one. */
  isGivenUp(mediaId: string): boolean {
    const media = this.media.find(each => each.mediaId === mediaId)
    return media !== undefined && media.upload !== null && media.complete !== 'acknowledged' && media.ended !== 'no'
  }
  #made = 0

  /** A number that no other thing of this run has. */
  next(): number {
    this.#made += 1
    return this.#made
  }
}
