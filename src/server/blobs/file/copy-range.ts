import { SealiftError } from '../../../protocol/errors.ts'
import type { BlobRange, ByteSink, CachedBytes } from '../blob-store.ts'
import type { BufferPool } from '../../buffers/buffer-pool.ts'
import { translateFileError, type OpenFile } from './file-system.ts'

interface Copy {
  readonly file: OpenFile
  readonly pool: BufferPool
  readonly sink: ByteSink
  readonly signal: AbortSignal
}

/** Copies a range of a file into a sink: in one read if it fits one buffer, else one buffer ahead of the sink. */
export async function copyRange(copy: Copy, range: BlobRange): Promise<void> {
  const writer = new SinkWriter(copy)
  try {
    let position = range.start
    let step = startStep(copy, position, range.end)
    for (;;) {
      const filled = step instanceof Promise ? await step : step
      position += filled.length
      if (position >= range.end) return await writer.write(filled, null)
      const ahead = startAhead(copy, position, range.end)
      await writer.write(filled, ahead)
      step = ahead ?? startStep(copy, position, range.end)
    }
  } finally {
    writer.end()
  }
}

interface Filled {
  readonly buffer: Uint8Array
  readonly length: number
}

type Filling = Filled | Promise<Filled>

function startStep(copy: Copy, position: number, end: number): Filling {
  return fill(copy, copy.pool.take(end - position), position, end)
}

/** Only while the pool has a large buffer to spare. */
function startAhead(copy: Copy, position: number, end: number): Filling | null {
  const buffer = copy.pool.tryTake()
  if (!buffer) return null
  const ahead = fill(copy, buffer, position, end)
  // It is awaited only after the sink has taken the buffer before it.
  if (ahead instanceof Promise) ahead.catch(() => undefined)
  return ahead
}

/** Synchronous when the file's read is. @throws damaged when the file ends too early, unavailable */
function fill(copy: Copy, buffer: Uint8Array, position: number, end: number): Filling {
  const length = Math.min(buffer.length, end - position)
  const { file, pool } = copy
  try {
    const reading = file.read(buffer, length, position)
    if (reading === length) return { buffer, length }
    return fillRest(copy, { buffer, length }, position, reading)
  } catch (error) {
    pool.release(buffer)
    throw translateFileError(error)
  }
}

async function fillRest(
  { file, pool }: Copy,
  wanted: Filled,
  position: number,
  reading: number | Promise<number>,
): Promise<Filled> {
  const { buffer, length } = wanted
  try {
    let filled = await reading
    while (filled < length) {
      const more = filled === 0 ? 0 : await file.read(buffer.subarray(filled), length - filled, position + filled)
      if (more === 0) throw new SealiftError('damaged', 'The stored bytes end too early: run `sealift fsck`')
      filled += more
    }
    return wanted
  } catch (error) {
    pool.release(buffer)
    throw translateFileError(error)
  }
}

/** Writes buffers to the sink. An abort ends it also when the sink never settles; it listens once, not per write. */
class SinkWriter {
  readonly #copy: Copy
  #listens = false
  /** Rejects the pending write. */
  #rejectPending: ((reason: unknown) => void) | null = null

  constructor(copy: Copy) {
    this.#copy = copy
  }

  /** When that fails, the buffer that was read ahead is released. */
  async write({ buffer, length }: Filled, ahead: Filling | null): Promise<void> {
    const { sink, pool, signal } = this.#copy
    try {
      signal.throwIfAborted()
      const pending = sink.write(length === buffer.length ? buffer : buffer.subarray(0, length))
      if (pending) await this.#settled(pending)
      pool.release(buffer)
    } catch (error) {
      // The sink may still read it.
      pool.discard(buffer)
      await releaseAhead(pool, ahead)
      throw error
    }
  }

  end(): void {
    if (this.#listens) this.#copy.signal.removeEventListener('abort', this.#abort)
  }

  #settled(pending: Promise<void>): Promise<void> {
    if (!this.#listens) this.#copy.signal.addEventListener('abort', this.#abort, { once: true })
    this.#listens = true
    return new Promise((resolve, reject) => {
      this.#rejectPending = reject
      if (this.#copy.signal.aborted) this.#abort()
      pending.then(resolve, reject)
    })
  }

  readonly #abort = (): void => {
    this.#rejectPending?.(this.#copy.signal.reason)
  }
}

async function releaseAhead(pool: BufferPool, ahead: Filling | null): Promise<void> {
  try {
    const unused = await ahead
    if (unused) pool.release(unused.buffer)
  } catch {
    // A failed read has released its buffer.
  }
}

/** Bytes of a file that were in the page cache, in a buffer of the pool. */
export class PooledRead implements CachedBytes {
  readonly bytes: Uint8Array
  readonly #pool: BufferPool
  readonly #buffer: Uint8Array

  private constructor(pool: BufferPool, buffer: Uint8Array, lengthBytes: number) {
    this.#pool = pool
    this.#buffer = buffer
    this.bytes = lengthBytes === buffer.length ? buffer : buffer.subarray(0, lengthBytes)
  }

  /** `null` when not all of them are cached; a read that waits reports any error. */
  static read(file: OpenFile, pool: BufferPool, lengthBytes: number, position: number): PooledRead | null {
    if (!file.readIfCached) return null
    const buffer = pool.take(lengthBytes)
    if (lengthBytes === readQuietly(file, buffer, lengthBytes, position)) {
      return new PooledRead(pool, buffer, lengthBytes)
    }
    pool.release(buffer)
    return null
  }

  release(): void {
    this.#pool.release(this.#buffer)
  }

  discard(): void {
    this.#pool.discard(this.#buffer)
  }
}

function readQuietly(file: OpenFile, buffer: Uint8Array, lengthBytes: number, position: number): number | null {
  try {
    return file.readIfCached?.(buffer, lengthBytes, position) ?? null
  } catch {
    return null
  }
}
