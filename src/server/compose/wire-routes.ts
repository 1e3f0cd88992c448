/** Gives each group of routes what it needs. Settings are read anew by each request, so that a reload applies. */
import { randomBytes } from 'node:crypto'

import { openapiDocument } from '../../protocol/openapi.ts'
import type { Health } from '../../protocol/schemas.ts'
import { tierOf } from '../access/caller.ts'
import { createProxyTrust, normaliseAddress } from '../access/client-address.ts'
import { RequestMemory } from '../buffers/request-memory.ts'
import type { Clock } from '../clock.ts'
import type { LiveConfig } from '../config/live-config.ts'
import { createAccelerate } from '../http/get-media.ts'
import { ManifestThread } from '../http/manifest/manifest-thread.ts'
import { type RouteTable, routeTable } from '../http/route-table.ts'
import { renderContract } from '../http/service-routes.ts'
import { StallWatch } from '../http/stall-watch.ts'
import { StoredManifests } from '../parcels/stored-manifests.ts'
import { DirectSlots } from '../transfers/direct/direct-access.ts'
import { createDiskSpaceCheck } from '../transfers/upload/disk-space-check.ts'
import { ExclusiveParts } from '../transfers/upload/exclusive-part.ts'
import { packageVersion } from '../../files/package-version.ts'
import type { LimitsAndFeed } from './open-limits.ts'
import type { Stores } from './open-stores.ts'

export interface ComposeRoutes {
  readonly live: LiveConfig
  readonly stores: Stores
  readonly limits: LimitsAndFeed
  readonly clock: Clock
  readonly readiness: () => Promise<Health>
}

/** The caller disposes `resources`. */
export function composeRoutes(
  { live, stores: { blobs, records }, limits, clock, readiness }: ComposeRoutes,
  resources: AsyncDisposableStack,
): RouteTable {
  const { slots, rates, feed } = limits
  const { pace, terms, openTier, grantTtlMs, refuseAbovePercent, direct, transferMode } = settingsOf(live)
  const random = (byteCount: number) => randomBytes(byteCount)
  const admitNewBytes = createDiskSpaceCheck({ blobs, records, refuseAbovePercent })
  const directSlots = resources.use(new DirectSlots(feed))
  const watch = resources.use(new StallWatch())
  const manifests = resources.use(new ManifestThread())
  const bodies = { watch, pace, rates, memory: new RequestMemory(() => live.current.buffers) }
  const common = { records, clock, random, admitNewBytes, bodies }
  const parts = { records, blobs, feed, slots, clock, terms, openTier, bodies, inFlight: new ExclusiveParts() }
  return routeTable({
    service: { readiness, contract: contractOf(live), limits: { live, records, slots, clock } },
    uploads: { ...parts, random, admitNewBytes, transferMode },
    parts,
    store: { ...parts, random, admitNewBytes },
    read: {
      records,
      blobs,
      feed,
      slots,
      rates,
      clock,
      random,
      watch,
      pace,
      grantTtlMs,
      capability: () => live.current.access.downloads === 'capability',
      accelerate: accelerateBy(live, blobs),
    },
    media: common,
    parcels: {
      ...common,
      feed,
      slots,
      readerSlots: limits.readerSlots,
      manifests,
      openTier,
      transferMode,
      storedManifests: new StoredManifests(records),
      waitMaxMs: () => live.current.transfer.parcelWaitMaxMs,
    },
    direct: { ...parts, random, rates, directSlots, direct, grantTtlMs },
  })
}

function settingsOf(live: LiveConfig) {
  const isDirect = () => live.current.storage.transfer === 'direct'
  return {
    pace: () => ({
      idleMs: live.current.transfer.idleTimeoutMs,
      minimumBytesPerSecond: live.current.transfer.minimumBytesPerSecond,
    }),
    terms: () => live.current.transfer,
    openTier: () => tierOf(live.current, { tier: live.current.access.openTier }),
    grantTtlMs: () => live.current.transfer.downloadGrantTtlMs,
    refuseAbovePercent: () => live.current.storage.refuseAbovePercent,
    direct: () => ({ enabled: isDirect(), ttlMs: live.current.storage.directUrlTtlMs }),
    transferMode: () => (isDirect() ? ('direct' as const) : ('proxy' as const)),
  }
}

function contractOf(live: LiveConfig) {
  return renderContract(openapiDocument({ version: packageVersion(), serverUrl: live.current.listen.publicUrl }))
}

function accelerateBy(live: LiveConfig, blobs: Stores['blobs']) {
  const proxies = createProxyTrust(live)
  return createAccelerate({
    blobs,
    settings: () => live.current.storage,
    isTrustedProxy: address => proxies.trusts(normaliseAddress(address) ?? address),
  })
}
