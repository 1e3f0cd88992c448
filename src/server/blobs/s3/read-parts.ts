/**
 * Copies a range of a blob from its parts into a sink. The next part is requested while the end of the one before is
 * still being written, so that the bytes flow without a gap. A body that breaks off is requested again from that
 * position; when retries do not help, the copy fails: it never ends early without an error.
 */
import { raceAbort } from '../../../common/abort-race.ts'
import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobAddress, BlobRange, ByteSink } from '../blob-store.ts'
import type { ResponseBody, ReceiveMemory } from './receive-memory.ts'
import { Deadline, pause, tryOnce } from './request-retries.ts'
import type { ObjectNames } from './object-names.ts'
import { isWorthRetry, translateS3Error, TryTimeout } from './s3-errors.ts'
import type { S3Service } from './s3-service.ts'

/** The next part is requested this many bytes before the end of the current one. */
const READ_AHEAD_BYTES = 2 * 2 ** 20

export interface ReadParts {
  readonly service: S3Service
  readonly names: ObjectNames
}

export async function readParts(
  { service, names }: ReadParts,
  { blob, range, sink }: { blob: BlobAddress; range: BlobRange; sink: ByteSink },
  signal: AbortSignal,
): Promise<void> {
  const pieces = splitRange(blob, range)
  const writer = new SinkWriter(sink, service.memory, signal)
  const open = ({ index, within }: PartRange) =>
    new PartReader(service, { name: names.part(blob.blobId, index), range: within }, signal)
  let reader: PartReader | null = null
  let ahead: PartReader | null = null
  try {
    for (const [at, piece] of pieces.entries()) {
      reader = ahead ?? open(piece)
      ahead = null
      const next = pieces[at + 1]
      for (let bytes = await reader.next(); bytes !== null; bytes = await reader.next()) {
        if (next && !ahead && reader.leftBytes <= READ_AHEAD_BYTES) ahead = open(next)
        await writer.add(bytes)
      }
    }
    await writer.drained()
  } finally {
    reader?.close()
    ahead?.close()
  }
}

interface PartRange {
  readonly index: number
  readonly within: BlobRange
}

function splitRange({ partBytes }: BlobAddress, { start, end }: BlobRange): readonly PartRange[] {
  const first = Math.floor(start / partBytes)
  const last = Math.floor((end - 1) / partBytes)
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const index = first + at
    const base = index * partBytes
    return { index, within: { start: Math.max(start - base, 0), end: Math.min(end - base, partBytes) } }
  })
}

/** Two writes may be outstanding: while the sink takes one, the next is ready. */
class SinkWriter {
  readonly #sink: ByteSink
  readonly #memory: ReceiveMemory
  readonly #signal: AbortSignal
  #pending: Promise<void> | null = null

  constructor(sink: ByteSink, memory: ReceiveMemory, signal: AbortSignal) {
    this.#sink = sink
    this.#memory = memory
    this.#signal = signal
  }

  async add(bytes: Uint8Array): Promise<void> {
    this.#signal.throwIfAborted()
    const before = this.#pending
    const pending = this.#sink.write(bytes)
    if (pending === undefined) this.#memory.release(bytes)
    // The system may still read the memory of a failed write: it is never reused.
    pending?.then(
      () => this.#memory.release(bytes),
      () => this.#memory.discard(bytes),
    )
    this.#pending = pending ?? null
    if (before) await raceAbort(before, this.#signal)
  }

  async drained(): Promise<void> {
    if (this.#pending) await raceAbort(this.#pending, this.#signal)
  }
}

/** Reads one part; the constructor sends the request. */
class PartReader {
  readonly #service: S3Service
  readonly #name: string
  readonly #signal: AbortSignal
  readonly #stop = new AbortController()
  readonly #end: number
  #position: number
  /** Tries since the last bytes arrived. */
  #tries = 0
  #opened: Promise<ResponseBody>
  #body: ResponseBody | null = null
  /** Runs while a read waits for bytes. */
  #deadline: Deadline | null = null
  #lastBytes = 0

  constructor(service: S3Service, { name, range }: { name: string; range: BlobRange }, signal: AbortSignal) {
    this.#service = service
    this.#name = name
    this.#signal = signal
    this.#position = range.start
    this.#end = range.end
    signal.addEventListener('abort', this.#abort, { once: true })
    this.#opened = this.#start()
  }

  /** Of the range, not yet returned. */
  get leftBytes(): number {
    return this.#end - this.#position
  }

  /** The next bytes of the range; `null` after the last. @throws damaged, unavailable, the signal's reason */
  async next(): Promise<Uint8Array | null> {
    while (this.leftBytes > 0) {
      try {
        const bytes = await this.#pull()
        this.#position += bytes.length
        this.#tries = 0
        return bytes
      } catch (error) {
        await this.#recover(error)
      }
    }
    this.close()
    this.#service.retry.budget.succeeded()
    return null
  }

  /** Closes the connection unless the body was read to its end. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#abort)
    this.#stop.abort(CLOSED)
    this.#deadline?.pause()
    this.#body?.destroy()
  }

  async #pull(): Promise<Uint8Array> {
    const body = await this.#opened
    this.#deadline?.progressed(this.#lastBytes)
    try {
      const bytes = await body.next()
      if (bytes === null || bytes.length > this.leftBytes) throw new BrokenBody()
      this.#lastBytes = bytes.length
      return bytes
    } finally {
      this.#deadline?.pause()
    }
  }

  /** Requests the rest, or throws. */
  async #recover(error: unknown): Promise<void> {
    this.#signal.throwIfAborted()
    const { retry } = this.#service
    this.#tries += 1
    this.#body?.destroy()
    const hopeless = !(error instanceof BrokenBody) && !isWorthRetry(error)
    if (hopeless || this.#tries >= retry.tries || !retry.budget.take()) throw translateS3Error(error)
    await pause(retry, this.#tries, this.#signal)
    this.#opened = this.#start()
  }

  #start(): Promise<ResponseBody> {
    this.#body = null
    const opened = this.#open()
    // It is awaited only when the parts before it are done.
    opened.catch(() => undefined)
    return opened
  }

  async #open(): Promise<ResponseBody> {
    const range = { start: this.#position, end: this.#end }
    const { tryTimeoutMs } = this.#service.retry
    const body = await tryOnce(tryTimeoutMs, this.#stop.signal, current =>
      this.#service.get(this.#name, range, current),
    )
    this.#body = body
    this.#lastBytes = 0
    this.#deadline = new Deadline(tryTimeoutMs, () => body.destroy(new TryTimeout('The S3 storage stopped sending')))
    this.#deadline.pause()
    if (this.#stop.signal.aborted) body.destroy()
    return body
  }

  #abort = (): void => {
    this.#stop.abort(this.#signal.reason)
    this.#body?.destroy(this.#signal.reason as Error)
  }
}

/** Created once: an abort without a reason would create an error with a stack for each part. */
const CLOSED = new SealiftError('aborted', 'The reader of the part was closed')

/** A body of another length than its response announced. */
class BrokenBody extends SealiftError {
  constructor() {
    super('unavailable', 'The S3 storage broke off a response')
  }
}
