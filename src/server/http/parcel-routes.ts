/** The routes of parcels. */
import { SealiftError } from '../../protocol/errors.ts'
import { parsePreferWait } from '../../protocol/headers.ts'
import { ROUTES } from '../../protocol/routes.ts'
import { expiryOf, type Caller } from '../access/caller.ts'
import type { SlotLimiter, TransferSlot } from '../limits/limiter.ts'
import { describeParcel } from '../parcels/describe-parcel.ts'
import { endParcel, type EndParcel } from '../parcels/end-parcel.ts'
import { assertMayReplace } from '../parcels/parcel-rights.ts'
import { publishParcel, type PublishParcel } from '../parcels/publish.ts'
import { readParcel } from '../parcels/read-parcel.ts'
import { admitGrowth, replaceManifest, type ReplaceManifest } from '../parcels/replace-manifest.ts'
import { waitForVersion } from '../parcels/wait-for-version.ts'
import type { ParcelFacts } from '../records/record-store.ts'
import { slotRequest } from '../access/transfer-slot.ts'
import { sendEmpty, sendJson } from './responses.ts'
import { matchesNone, parseVersionTag, requireVersion, versionTag } from './conditions.ts'
import type { Exchange } from './exchange.ts'
import { asMaker, idempotencyKeyOf } from './gate.ts'
import { receiveManifest, type ReceiveManifest } from './manifest/manifest-body.ts'
import { queryOf } from './query.ts'
import { headManifest, sendManifest, type SendManifest } from './send-manifest.ts'

export interface ParcelRoutes extends PublishParcel, ReplaceManifest, EndParcel, ReceiveManifest, SendManifest {
  /** Places for readers who wait: they cost a connection, no bandwidth, so they are counted apart from transfers. */
  readonly places: SlotLimiter
  readonly waitMaxMs: () => number
}

export async function publishParcelRoute(deps: ParcelRoutes, exchange: Exchange, caller: Caller): Promise<void> {
  const query = queryOf(exchange, ROUTES.publishParcel.query)
  // What the headers alone show to be wrong is refused before the body.
  idempotencyKeyOf(exchange)
  expiryOf(caller.tier, query.ttlSeconds, deps.clock())
  const expected = { caller, route: 'publishParcel', admit: () => deps.admitNewBytes() } as const
  const parcel = await receiveManifest(deps, exchange, expected, sent => {
    const { manifest, media, sha256, ttlSeconds = query.ttlSeconds } = sent
    const maker = asMaker(exchange, caller, [sha256, media.length, ttlSeconds], deps.clock)
    return publishParcel(deps, maker, { manifest, media, ttlSeconds })
  })
  sendJson(exchange, 201, describeParcel(parcel), ['ETag', versionTag(parcel.version)])
}

export async function replaceManifestRoute(
  deps: ParcelRoutes,
  exchange: Exchange,
  caller: Caller,
  [parcelId = '']: readonly string[],
): Promise<void> {
  const ifVersion = requireVersion(exchange.req.headers['if-match'])
  const { clientId: chargedTo } = await assertMayReplace(deps.records, caller, {
    parcelId,
    ifVersion,
    now: deps.clock(),
  })
  const admit = (manifestBytes: number | null) => admitGrowth(deps, parcelId, manifestBytes ?? 0)
  const expected = { caller, route: 'replaceManifest', admit } as const
  const parcel = await receiveManifest(deps, exchange, expected, ({ manifest, media }) =>
    replaceManifest(deps, caller, { manifest, media, parcelId, chargedTo, ifVersion }),
  )
  sendJson(exchange, 200, describeParcel(parcel), ['ETag', versionTag(parcel.version)])
}

export async function endParcelRoute(
  deps: ParcelRoutes,
  exchange: Exchange,
  caller: Caller,
  [parcelId = '']: readonly string[],
): Promise<void> {
  await endParcel(deps, caller, parcelId)
  sendEmpty(exchange, 204)
}

/** The newest manifest; with `If-None-Match` and `Prefer: wait=N`, the next one as soon as it is published. */
export async function readParcelRoute(
  deps: ParcelRoutes,
  exchange: Exchange,
  caller: Caller,
  [parcelId = '']: readonly string[],
): Promise<void> {
  const { headers } = exchange.req
  const waitMs = waitOf(deps, exchange)
  const known = parseVersionTag(headers['if-none-match'])
  let parcel: ParcelFacts | null = await readParcel(deps.records, parcelId, deps.clock())
  const applied = waitMs > 0 ? ['Preference-Applied', `wait=${waitMs / 1000}`] : []
  if (parcel.version === known && waitMs > 0) {
    parcel = await waitInLine(deps, exchange, caller, { parcelId, known, waitMs })
  }
  if (!parcel || matchesNone(headers['if-none-match'], versionTag(parcel.version))) {
    return sendEmpty(exchange, 304, ['ETag', versionTag(parcel?.version ?? known ?? 0), ...applied])
  }
  if (exchange.req.method === 'HEAD') return headManifest(deps, exchange, { parcel, applied })
  await sendManifest(deps, exchange, caller, { parcel, applied })
}

async function waitInLine(
  deps: ParcelRoutes,
  exchange: Exchange,
  caller: Caller,
  wait: { parcelId: string; known: number; waitMs: number },
): Promise<ParcelFacts | null> {
  using place = await takePlace(deps, caller, exchange.signal)
  const stop = AbortSignal.any([exchange.signal, place.signal])
  return await exchange.whileQueued(waitForVersion(deps, wait, stop))
}

/** A client may have as many waiting readers as transfers may stand in line. */
async function takePlace({ places }: ParcelRoutes, caller: Caller, signal: AbortSignal): Promise<TransferSlot> {
  const { queue, ...request } = slotRequest(caller, 'download')
  try {
    return await places.acquire({ ...request, cap: queue, queue: 0, queueWaitMs: 0 }, signal)
  } catch (cause) {
    signal.throwIfAborted()
    throw new SealiftError('too_many_downloads', `At most ${queue} readers of one client may wait for parcels`, {
      context: { limit: 'queue', value: queue, remaining: 0, retryAfterSeconds: 5 },
      cause,
    })
  }
}

function waitOf({ waitMaxMs }: ParcelRoutes, { req }: Exchange): number {
  const { prefer } = req.headers
  const seconds = parsePreferWait(typeof prefer === 'string' ? prefer : (prefer?.join(', ') ?? '')) ?? 0
  return Math.min(seconds * 1000, waitMaxMs())
}
