import type { CryptoSuite } from '../../sealing/index.ts'
import { toBase64 } from '../bytes/base64url.ts'
import { sha256 } from './digest.ts'
import { sendPartDirectly } from '../direct/store-upload.ts'
import type { DirectOutcome } from '../direct/store-upload.ts'
import type { PartHashing } from './part-hashing.ts'
import type { Server } from '../wire/http.ts'
import { putPart } from '../wire/uploads.ts'
import type { PartRequest } from '../wire/uploads.ts'

export interface Delivery {
  readonly server: Server
  readonly suite: CryptoSuite
  readonly hashing: Pick<PartHashing, 'md5'>
  /** Whether the server compares what passes it with a digest. */
  readonly digests: boolean
  /** Whether parts may go straight to the store. */
  readonly direct: boolean
}

export type OutgoingPart = Omit<PartRequest, 'sha256'>

/**
 * Makes one part durable, straight into the store or else through the server.
 * @returns true when the server had it already, and nothing was sent
 */
export async function deliverPart(delivery: Delivery, part: OutgoingPart, signal: AbortSignal): Promise<boolean> {
  const outcome = delivery.direct ? await intoStore(delivery, part, signal) : 'refused'
  if (outcome !== 'refused') return outcome === 'had'
  const digest = delivery.digests ? await sha256(delivery.suite, part.sealed) : null
  await putPart(delivery.server, { ...part, sha256: digest }, signal)
  return false
}

async function intoStore(
  { server, hashing }: Delivery,
  { sealed, onSent, ...place }: OutgoingPart,
  signal: AbortSignal,
): Promise<DirectOutcome> {
  const { store } = server
  if (!store?.isOpen) return 'refused'
  const part = { ...place, sizeBytes: sealed.byteLength, md5: toBase64(await hashing.md5(sealed)) }
  return sendPartDirectly(server, store, { part, sealed, onSent }, signal)
}
