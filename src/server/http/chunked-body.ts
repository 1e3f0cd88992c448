import { IncomingMessage } from 'node:http'

/** Larger chunks are passed on without copying. */
const SMALL_CHUNK_BYTES = 4096
const FIRST_BUFFER_BYTES = 16 * 1024
const EMPTY = Buffer.alloc(0)

/**
 * Joins the small chunks of a body before Node buffers them. Node buffers up to 64 KiB of an unread body, one object
 * per chunk: in chunks of one byte, 12 MB per request that is queued for a slot. Bytes held here count towards the
 * same 64 KiB; beyond it, Node stops reading the connection.
 */
export class ChunkedBody {
  readonly #req: IncomingMessage
  #held = EMPTY
  #heldBytes = 0
  #scheduled = false

  /** Begins before the first chunk is parsed. */
  constructor(req: IncomingMessage) {
    this.#req = req
    req.push = this.#push
    req.on('resume', this.#flushWhenRead)
  }

  /** From now on passes on every chunk at once, so that each can be counted. */
  passThrough(): void {
    this.#flush()
    this.#req.push = chunk => this.#pass(chunk as Buffer | null)
    this.#req.off('resume', this.#flushWhenRead)
  }

  #push = (chunk: Buffer | null): boolean => {
    if (chunk !== null && chunk.length < SMALL_CHUNK_BYTES) return this.#hold(chunk)
    this.#flush()
    return this.#pass(chunk)
  }

  #pass(chunk: Buffer | null): boolean {
    return IncomingMessage.prototype.push.call(this.#req, chunk)
  }

  /** @returns whether more may come, as `push` does */
  #hold(chunk: Buffer): boolean {
    const heldBytes = this.#heldBytes + chunk.length
    if (heldBytes > this.#held.length) this.#grow(heldBytes)
    this.#held.set(chunk, this.#heldBytes)
    this.#heldBytes = heldBytes
    this.#schedule()
    return heldBytes + this.#req.readableLength < this.#req.readableHighWaterMark
  }

  #grow(leastBytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_BUFFER_BYTES, 2 * this.#held.length, leastBytes))
    larger.set(this.#held.subarray(0, this.#heldBytes))
    this.#held = larger
  }

  /** One read of a connection can hold thousands of chunks; they are passed on together after it. */
  #schedule(): void {
    if (this.#scheduled || this.#req.readableFlowing !== true) return
    this.#scheduled = true
    process.nextTick(() => {
      this.#scheduled = false
      this.#flushWhenRead()
    })
  }

  #flushWhenRead = (): void => {
    if (this.#req.readableFlowing === true) this.#flush()
  }

  #flush(): void {
    if (this.#heldBytes === 0) return
    const bytes = this.#held.subarray(0, this.#heldBytes)
    // A piece that fills little of the buffer must not retain all of it.
    const isSmall = 2 * bytes.length < this.#held.length
    if (!isSmall) this.#held = EMPTY
    this.#heldBytes = 0
    this.#pass(isSmall ? Buffer.from(bytes) : bytes)
  }
}
