import { abortReason } from '../concurrency/abort.ts'

type Pieces = AsyncIterable<Uint8Array<ArrayBuffer>>

/**
 * A stream over pieces that are made as they are read. Cancelling it, or aborting `outer`, aborts the signal that the
 * maker of the pieces was given. (`ReadableStream.from` does the same, but not in every browser.)
 */
export function streamOf(
  outer: AbortSignal,
  make: (signal: AbortSignal) => Pieces | Promise<Pieces>,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const stop = new AbortController()
  const signal = AbortSignal.any([outer, stop.signal])
  let pieces: AsyncIterator<Uint8Array<ArrayBuffer>> | null = null
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        try {
          pieces ??= (await make(signal))[Symbol.asyncIterator]()
          const next = await pieces.next()
          if (next.done === true) controller.close()
          else controller.enqueue(next.value)
        } catch (error) {
          controller.error(outer.aborted ? abortReason(outer) : error)
        }
      },
      async cancel(reason) {
        stop.abort(reason)
        await pieces?.return?.().catch(() => undefined)
      },
    },
    { highWaterMark: 0 },
  )
}
