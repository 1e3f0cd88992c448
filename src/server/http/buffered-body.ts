/** Bodies that are taken into memory whole. The caller holds their memory (`takeMemory`) before the first byte is read. */
import type { Caller } from '../access/caller.ts'
import { freeMemory } from '../buffers/buffer-pool.ts'
import { abortableSource } from '../../common/abort-race.ts'
import type { HeldMemory, RequestMemory } from '../buffers/request-memory.ts'
import type { Exchange } from './exchange.ts'
import { receive, type Receiving } from './request-body.ts'

/** What buffering takes. */
export interface Buffering extends Receiving {
  readonly memory: RequestMemory
}

/** Waits for it in a short queue, which the end of the server or of the client ends. @throws rate_limited, unavailable */
export function takeMemory(
  { memory }: Pick<Buffering, 'memory'>,
  exchange: Exchange,
  { client }: Caller,
  bytes: number,
): Promise<HeldMemory> {
  return exchange.whileQueued(memory.take(client.clientId, bytes, exchange.signal))
}

export interface BufferedBody {
  /** Most bytes that may come: `Content-Length` where there is one. */
  readonly mostBytes: number
  /** Given each piece as it arrives, before the whole is there; may throw to refuse it. */
  readonly look: (piece: Uint8Array) => void
  /** Thrown when more than `mostBytes` come. */
  readonly tooLarge: () => Error
  readonly signal: AbortSignal
}

/**
 * The whole body, at the client's byte rate. The pieces are copied as they come: a body in thousands of tiny chunks
 * would otherwise keep an object for each of them.
 */
export async function readBody(
  deps: Receiving,
  exchange: Exchange,
  caller: Caller,
  { mostBytes, look, tooLarge, signal }: BufferedBody,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = allocate(mostBytes)
  let length = 0
  try {
    await receive(deps, exchange, caller, async source => {
      for await (const piece of abortableSource(source, signal)) {
        if (length + piece.length > mostBytes) throw tooLarge()
        look(piece)
        bytes.set(piece, length)
        length += piece.length
        freeMemory(piece)
      }
    })
  } catch (error) {
    freeMemory(bytes)
    throw error
  }
  return bytes.subarray(0, length)
}

const PAGED_BYTES = 64 * 1024

/**
 * A buffer that may grow is pages of the system, which go back to it when it is freed. Others come from the allocator of
 * the C library, which keeps megabytes for later.
 */
function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  if (bytes <= PAGED_BYTES) return Buffer.allocUnsafeSlow(bytes)
  return new Uint8Array(new ArrayBuffer(bytes, { maxByteLength: bytes }), 0, bytes)
}

/** `null` when the request does not tell it. */
export function contentLength({ req }: Exchange): number | null {
  const length = req.headers['content-length']
  return length === undefined ? null : Number(length)
}

/** Without its parameters; `null` when the request does not tell it. */
export function contentType({ req }: Exchange): string | null {
  return req.headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? null
}
