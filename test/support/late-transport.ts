import { abortReason, NO_SIGNAL, unlessAborted } from '../../src/client/concurrency/abort.ts'
import { undiciTransport } from '../../src/client/node/transport/undici-transport.ts'
import type { Transport, TransportRequest } from '../../src/client/transport/transport.ts'

/** Holds one request back: whoever made it may end, and the request reaches the server later all the same. */
export interface LateTransport extends Transport {
  /** Resolves when the request is held. */
  readonly held: Promise<void>
  /** Lets it go; resolves when the server has responded. */
  land(): Promise<void>
}

/** @param which the first request that it says yes to is held */
export function lateTransport(which: (request: TransportRequest) => boolean): LateTransport {
  const inner = undiciTransport({ connections: 16 })
  const held = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  let landed: Promise<void> | null = null
  return {
    held: held.promise,
    async request(request) {
      if (landed || !which(request)) return inner.request(request)
      landed = go.promise
        .then(() => inner.request({ ...request, signal: NO_SIGNAL }))
        .then(response => response.discard())
      held.resolve()
      await unlessAborted(landed, request.signal)
      throw abortReason(request.signal)
    },
    async land() {
      go.resolve()
      await landed
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
}
