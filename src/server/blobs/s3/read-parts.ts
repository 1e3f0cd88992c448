/**
 * Copies a range of a blob from its parts into a sink. The part that comes next is asked for while the end of the one
 * before is still being passed on, so that the bytes do not stop between two. A body that breaks off is asked for again
 * from where it broke; when that does not help either, the copy fails: it never ends early as if it were whole.
 */
import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobAddress, ByteRange, ByteSink } from '../blob-store.ts'
import type { ResponseBody, ReceiveMemory } from './receive-memory.ts'
import { Deadline, pause, tryOnce } from './retry.ts'
import type { ObjectNames } from './object-names.ts'
import { isWorthRetry, translateS3Error, TryTimeout } from './s3-errors.ts'
import type { S3Service } from './s3-service.ts'

/** So many bytes before a part ends, the next one is asked for. */
const READ_AHEAD_BYTES = 2 * 2 ** 20

export interface ReadParts {
  readonly service: S3Service
  readonly names: ObjectNames
}

export async function readParts(
  { service, names }: ReadParts,
  { blob, range, sink }: { blob: BlobAddress; range: ByteRange; sink: ByteSink },
  signal: AbortSignal,
): Promise<void> {
  const pieces = splitRange(blob, range)
  const writes = new Writes(sink, service.memory, signal)
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
        await writes.add(bytes)
      }
    }
    await writes.drained()
  } finally {
    reader?.close()
    ahead?.close()
  }
}

interface PartRange {
  readonly index: number
  readonly within: ByteRange
}

function splitRange({ partBytes }: BlobAddress, { start, end }: ByteRange): readonly PartRange[] {
  const first = Math.floor(start / partBytes)
  const last = Math.floor((end - 1) / partBytes)
  return Array.from({ length: last - first + 1 }, (_, at) => {
    const index = first + at
    const base = index * partBytes
    return { index, within: { start: Math.max(start - base, 0), end: Math.min(end - base, partBytes) } }
  })
}

/** Two writes may be outstanding: while the sink takes one, the next is ready. */
class Writes {
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
    // A write that fails may still be under way in the system: its memory is left alone.
    pending?.then(
      () => this.#memory.release(bytes),
      () => this.#memory.discard(bytes),
    )
    this.#pending = pending ?? null
    if (before) await settledOrAborted(before, this.#signal)
  }

  async drained(): Promise<void> {
    if (this.#pending) await settledOrAborted(this.#pending, this.#signal)
  }
}

/** Reads one part from the moment it is made. */
class PartReader {
  readonly #service: S3Service
  readonly #name: string
  readonly #signal: AbortSignal
  readonly #stop = new AbortController()
  readonly #end: number
  #position: number
  /** Tries since bytes last came. */
  #tries = 0
  #opened: Promise<ResponseBody>
  #body: ResponseBody | null = null
  /** Runs while bytes are waited for. */
  #deadline: Deadline | null = null
  #lastBytes = 0

  constructor(service: S3Service, { name, range }: { name: string; range: ByteRange }, signal: AbortSignal) {
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

  /** Gives the connection up unless the body has been read to its end. */
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

  /** Asks again from where it broke, or gives up. */
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
    // It is awaited only when its turn comes.
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

/** Made once: an abort without a reason makes an error, with its stack, for each part. */
const CLOSED = new SealiftError('aborted', 'The part is not read any more')

/** A body of another length than its answer promised. */
class BrokenBody extends SealiftError {
  constructor() {
    super('unavailable', 'The S3 storage broke off an answer')
  }
}

/** A sink that never answers must not outlive the abort. */
function settledOrAborted(pending: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason as Error)
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    pending.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
