import { SealiftError } from '../../protocol/errors.ts'
import type { ByteRange, ByteSink } from './blob-store.ts'
import type { BufferPool } from './buffer-pool.ts'
import { translateFileError } from './file-errors.ts'
import type { OpenFile } from './file-system.ts'

interface Copy {
  readonly file: OpenFile
  readonly pool: BufferPool
  readonly sink: ByteSink
  readonly signal: AbortSignal
}

/** Copies a range of a file into a sink. What fits one buffer is one read; more is read one buffer ahead of the sink. */
export async function copyRange(copy: Copy, range: ByteRange): Promise<void> {
  let position = range.start
  let step = startStep(copy, position, range.end)
  for (;;) {
    const filled = await step
    position += filled.length
    if (position >= range.end) return deliver(copy, filled, null)
    const ahead = startAhead(copy, position, range.end)
    await deliver(copy, filled, ahead)
    step = ahead ?? startStep(copy, position, range.end)
  }
}

interface Filled {
  readonly buffer: Uint8Array
  readonly length: number
}

function startStep({ file, pool }: Copy, position: number, end: number): Promise<Filled> {
  return fill(file, pool, pool.take(end - position), { position, end })
}

/** Reading ahead is worth a buffer only while there are plenty. */
function startAhead({ file, pool }: Copy, position: number, end: number): Promise<Filled> | null {
  const buffer = pool.tryTake()
  if (!buffer) return null
  const ahead = fill(file, pool, buffer, { position, end })
  // It is awaited only after the sink has taken what comes before it.
  ahead.catch(() => undefined)
  return ahead
}

/** @throws damaged when the file ends too early, unavailable */
async function fill(
  file: OpenFile,
  pool: BufferPool,
  buffer: Uint8Array,
  { position, end }: { position: number; end: number },
): Promise<Filled> {
  const length = Math.min(buffer.length, end - position)
  try {
    let filled = await file.read(buffer, length, position)
    while (filled < length) {
      const more = filled === 0 ? 0 : await file.read(buffer.subarray(filled), length - filled, position + filled)
      if (more === 0) throw new SealiftError('damaged', 'The stored bytes end too early: run `sealift fsck`')
      filled += more
    }
    return { buffer, length }
  } catch (error) {
    pool.release(buffer)
    throw translateFileError(error)
  }
}

/** Hands one buffer to the sink. When that fails, what was read ahead is given back, and the error wins. */
async function deliver(copy: Copy, { buffer, length }: Filled, ahead: Promise<Filled> | null): Promise<void> {
  try {
    copy.signal.throwIfAborted()
    const pending = copy.sink.write(length === buffer.length ? buffer : buffer.subarray(0, length))
    if (pending) await settledOrAborted(pending, copy.signal)
    copy.pool.release(buffer)
  } catch (error) {
    // The sink may still be looking at it.
    copy.pool.discard(buffer)
    await ahead?.then(
      unused => copy.pool.release(unused.buffer),
      () => undefined,
    )
    throw error
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
