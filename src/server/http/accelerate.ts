/** Lets the nginx in front send the file of a complete media (`X-Accel-Redirect`), so that its bytes never pass here. */
import type { LocatesFiles } from '../blobs/blob-store.ts'
import type { ServerConfig } from '../config/schema.ts'
import type { TierLimits } from '../../protocol/schemas.ts'
import type { MediaRecord } from '../records/record-types.ts'
import { OPAQUE_HEADERS } from './responses.ts'
import type { Exchange } from './exchange.ts'

export interface AccelerateOptions {
  readonly blobs: Partial<LocatesFiles>
  readonly settings: () => Pick<ServerConfig['storage'], 'accelerate' | 'accelerateLocation'>
  readonly isTrustedProxy: (address: string) => boolean
}

/** Where nginx finds the bytes of this answer; `null`: they are sent from here. */
export type Accelerate = (exchange: Exchange, media: MediaRecord) => string | null

/** The request header by which a trusted proxy says that it acts on `X-Accel-Redirect`; value `x-accel-redirect`. */
const ACCELERATE_HEADER = 'sealift-accelerate'

/**
 * Only a trusted proxy that says so gets such a response: to anyone else it would be an empty one. The address alone
 * does not tell: a client on the proxy's machine has it too, and so has another proxy there. Nginx makes an `ETag` of its own,
 * so a request that compares with ours (`If-Range`) is answered from here.
 */
export function createAccelerate({ blobs, settings, isTrustedProxy }: AccelerateOptions): Accelerate {
  return ({ req }, media) => {
    const { accelerate, accelerateLocation } = settings()
    if (accelerate === 'off' || media.state !== 'complete' || !blobs.fileOf) return null
    if (req.headers['if-range'] !== undefined || req.headers[ACCELERATE_HEADER] !== accelerate) return null
    if (!isTrustedProxy(req.socket.remoteAddress ?? '')) return null
    return accelerateLocation + blobs.fileOf(media.blobId)
  }
}

/** Answers with where the bytes are. Nginx takes the client's `Range` itself; `headers` are for it to pass on. */
export function sendAccelerated(
  exchange: Exchange,
  location: string,
  tier: Pick<TierLimits, 'downloadBytesPerSecond'>,
  headers: readonly string[],
): void {
  const rate = tier.downloadBytesPerSecond
  const pace = rate > 0 ? ['X-Accel-Limit-Rate', String(rate)] : []
  const redirect = ['X-Accel-Redirect', location, 'Content-Length', '0']
  exchange.res.writeHead(200, exchange.headers(...redirect, ...pace, ...OPAQUE_HEADERS, ...headers))
  exchange.res.end()
}
