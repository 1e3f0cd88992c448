import type { Caller } from './caller.ts'
import type { SlotRequest, TransferDirection } from '../limits/limiter.ts'

/** What a caller's tier allows of transfers in one direction. */
export function slotRequest({ client, tier }: Caller, direction: TransferDirection): SlotRequest {
  return {
    clientId: client.clientId,
    direction,
    cap: direction === 'upload' ? tier.concurrentUploads : tier.concurrentDownloads,
    queue: tier.queue,
    queueWaitMs: tier.queueWaitMs,
    credential: client.credential,
  }
}
