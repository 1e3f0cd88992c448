import { boxHeader, defaultSizes, samplesOf } from './boxes.ts'
import type { BoxHeader, Sample } from './boxes.ts'

const HEADER_BYTES = 16
/** A `moov` or `moof` above this is passed over: no film has one, and it would be held whole. */
const MAX_BOX_BYTES = 64 * 1024 * 1024

export interface FragmentEvents {
  /** The next fragment's samples, in the order of the file; called before their bytes come. */
  onSamples(samples: readonly Sample[]): void
  /** Bytes of media data, as they come; a view that is only good during the call. */
  onData(bytes: Uint8Array, offset: number): void
}

/** Reads a fragmented MP4 as it comes, in pieces of any size. Holds one `moof` at most. */
export class FragmentReader {
  readonly #events: FragmentEvents
  #defaults: ReadonlyMap<number, number> = new Map()
  /** Bytes of the file behind us. */
  #at = 0
  #held: Uint8Array<ArrayBuffer> = new Uint8Array(HEADER_BYTES)
  #heldBytes = 0
  #box: (BoxHeader & { readonly startsAt: number }) | null = null
  /** Of the box that is being read. */
  #left = 0

  constructor(events: FragmentEvents) {
    this.#events = events
  }

  push(piece: Uint8Array): void {
    for (let at = 0; at < piece.byteLength;) at += this.#box ? this.#body(piece.subarray(at)) : this.#header(piece, at)
  }

  #header(piece: Uint8Array, at: number): number {
    // Eight bytes, and eight more when the first four say so.
    const needed = this.#heldBytes < 8 ? 8 : HEADER_BYTES
    const part = piece.subarray(at, at + needed - this.#heldBytes)
    this.#held.set(part, this.#heldBytes)
    this.#heldBytes += part.byteLength
    this.#at += part.byteLength
    if (this.#heldBytes < needed) return part.byteLength
    const header = boxHeader(new DataView(this.#held.buffer, 0, this.#heldBytes), 0)
    if (this.#heldBytes < header.headerBytes) return part.byteLength
    this.#begin(header)
    return part.byteLength
  }

  #begin(header: BoxHeader): void {
    this.#box = { ...header, startsAt: this.#at - header.headerBytes }
    this.#left = header.bytes === null ? Infinity : Math.max(0, header.bytes - header.headerBytes)
    this.#heldBytes = 0
    this.#held = new Uint8Array(isHeld(header.type) && this.#left <= MAX_BOX_BYTES ? this.#left : HEADER_BYTES)
    if (this.#left === 0) this.#end()
  }

  #body(rest: Uint8Array): number {
    const part = rest.subarray(0, Math.min(rest.byteLength, this.#left))
    const type = this.#box?.type ?? ''
    if (type === 'mdat') this.#events.onData(part, this.#at)
    else if (isHeld(type) && this.#heldBytes + part.byteLength <= this.#held.byteLength) {
      this.#held.set(part, this.#heldBytes)
      this.#heldBytes += part.byteLength
    }
    this.#at += part.byteLength
    this.#left -= part.byteLength
    if (this.#left === 0) this.#end()
    return part.byteLength
  }

  #end(): void {
    const box = this.#box
    const body = new DataView(this.#held.buffer, 0, this.#heldBytes)
    if (box?.type === 'moov') this.#defaults = defaultSizes(body)
    if (box?.type === 'moof') {
      const samples = Array.from(samplesOf(body, box.startsAt, this.#defaults))
      this.#events.onSamples(samples.sort((a, b) => a.offset - b.offset))
    }
    this.#box = null
    this.#heldBytes = 0
    this.#held = new Uint8Array(HEADER_BYTES)
  }
}

function isHeld(type: string): boolean {
  return type === 'moov' || type === 'moof'
}
