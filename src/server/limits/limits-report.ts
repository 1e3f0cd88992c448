/** The response body of GET /v1/limits. */
import { type Limits, tierLimits } from '../../protocol/schemas.ts'
import { type Client, knownTier, tierOf } from '../access/caller.ts'
import type { Clock } from '../clock.ts'
import type { LiveConfig } from '../config/live-config.ts'
import type { ClientRecords } from '../records/record-store.ts'
import type { SlotLimiter } from './limiter.ts'

export interface LimitsReport {
  readonly live: LiveConfig
  readonly records: Pick<ClientRecords, 'usage' | 'countDevices'>
  readonly slots: Pick<SlotLimiter, 'held'>
  readonly clock: Clock
}

/** The limits of a client, its usage and what remains. @throws unavailable */
export async function reportLimits(
  { live, records, slots, clock }: LimitsReport,
  client: Client,
  signal?: AbortSignal,
): Promise<Limits> {
  const config = live.current
  const tier = tierOf(config, client)
  const forgetBefore = clock() - config.access.forgetDevicesAfterMs
  const [usage, devices, uploads, downloads] = await Promise.all([
    records.usage(client.clientId),
    records.countDevices(client.clientId, forgetBefore),
    slots.held(client.clientId, 'upload', signal),
    slots.held(client.clientId, 'download', signal),
  ])
  return {
    client: { tier: knownTier(config, client.tier), anonymous: client.anonymous },
    partBytes: config.transfer.partBytes,
    // Drops what only the server needs.
    limits: tierLimits.parse(tier),
    usage: { uploads, downloads, ...usage, devices },
    remaining: {
      storedBytes: Math.max(0, tier.storedBytes - usage.storedBytes - usage.reservedBytes),
      storedRows: Math.max(0, tier.storedRows - usage.storedRows),
      pendingUploads: Math.max(0, tier.pendingUploads - usage.pendingUploads),
      pendingBytes: Math.max(0, tier.pendingBytes - usage.reservedBytes),
    },
  }
}
