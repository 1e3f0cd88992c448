/** The routes of parcels, and how a manifest is sent. */
import { SealiftError } from '../../protocol/errors.ts'
import { HEADER, parsePreferWait } from '../../protocol/headers.ts'
import { ROUTES } from '../../protocol/routes.ts'
import type { TransferMode } from '../../protocol/schemas.ts'
import { type Caller, expiryOf, slotRequest } from '../access/caller.ts'
import type { ByteSink } from '../blobs/blob-store.ts'
import type { HeldMemory } from '../buffers/request-memory.ts'
import type { SlotLimiter, TransferSlot } from '../limits/limiter.ts'
import { chargeFor, paceSink } from '../limits/pacing.ts'
import { describeParcel } from '../parcels/read-parcel.ts'
import { endParcel, type EndParcel } from '../parcels/change-parcel.ts'
import { assertMayReplace } from '../parcels/change-parcel.ts'
import { publishParcel, type PublishParcel } from '../parcels/publish-parcel.ts'
import { readManifest, type ReadManifest } from '../parcels/read-parcel.ts'
import { readParcel } from '../parcels/read-parcel.ts'
import { admitGrowth, replaceManifest, type ReplaceManifest } from '../parcels/change-parcel.ts'
import { waitForVersion } from '../parcels/read-parcel.ts'
import type { ParcelRecord } from '../records/record-types.ts'
import { matchesNone, parseVersionTag, requireVersion, versionTag } from './conditions.ts'
import type { Exchange } from './exchange.ts'
import { asIdempotentCaller, idempotencyKeyOf } from './gate.ts'
import { queryOf } from './json-body.ts'
import { receiveManifest, type ReceiveManifest } from './manifest/receive-manifest.ts'
import type { BodyDeps } from './request-body.ts'
import { ResponseSink } from './response-sink.ts'
import { OPAQUE_HEADERS, sendEmpty, sendJson } from './responses.ts'

export interface ParcelRoutes extends PublishParcel, ReplaceManifest, EndParcel, ReceiveManifest, SendManifest {
  /**
   * Slots of waiting readers. A reader costs a connection and no bandwidth, so these are counted apart from
   * transfers.
   */
  readonly readerSlots: SlotLimiter
  readonly waitMaxMs: () => number
}

export async function publishParcelRoute(deps: ParcelRoutes, exchange: Exchange, caller: Caller): Promise<void> {
  const query = queryOf(exchange, ROUTES.publishParcel.query)
  // Errors in the headers are refused before the body is read.
  idempotencyKeyOf(exchange)
  expiryOf(caller.tier, query.ttlSeconds, deps.clock())
  const expected = { caller, route: 'publishParcel', admit: () => deps.admitNewBytes() } as const
  const parcel = await receiveManifest(deps, exchange, expected, sent => {
    const { manifest, media, sha256, ttlSeconds = query.ttlSeconds } = sent
    const sender = asIdempotentCaller(exchange, caller, [sha256, media.length, ttlSeconds], deps.clock)
    return publishParcel(deps, sender, { manifest, media, ttlSeconds })
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

/** The newest manifest; with `If-None-Match` and `Prefer: wait=N`, the next version as soon as it is published. */
export async function readParcelRoute(
  deps: ParcelRoutes,
  exchange: Exchange,
  caller: Caller,
  [parcelId = '']: readonly string[],
): Promise<void> {
  const { headers } = exchange.req
  const waitMs = waitOf(deps, exchange)
  const known = parseVersionTag(headers['if-none-match'])
  let parcel: ParcelRecord | null = await readParcel(deps.records, parcelId, deps.clock())
  const applied = waitMs > 0 ? ['Preference-Applied', `wait=${waitMs / 1000}`] : []
  if (parcel.version === known && waitMs > 0) {
    parcel = await waitForNext(deps, exchange, caller, { parcelId, known, waitMs })
  }
  if (!parcel || matchesNone(headers['if-none-match'], versionTag(parcel.version))) {
    return sendEmpty(exchange, 304, ['ETag', versionTag(parcel?.version ?? known ?? 0), ...applied])
  }
  if (exchange.req.method === 'HEAD') return headManifest(deps, exchange, { parcel, applied })
  await sendManifest(deps, exchange, caller, { parcel, applied })
}

async function waitForNext(
  deps: ParcelRoutes,
  exchange: Exchange,
  caller: Caller,
  wait: { parcelId: string; known: number; waitMs: number },
): Promise<ParcelRecord | null> {
  using slot = await acquireReaderSlot(deps, caller, exchange.signal)
  const stop = AbortSignal.any([exchange.signal, slot.signal])
  return await exchange.whileQueued(waitForVersion(deps, wait, stop))
}

/** A client may have as many waiting readers as queued transfers. */
async function acquireReaderSlot(
  { readerSlots }: ParcelRoutes,
  caller: Caller,
  signal: AbortSignal,
): Promise<TransferSlot> {
  const { queue, ...request } = slotRequest(caller, 'download')
  try {
    return await readerSlots.acquire({ ...request, cap: queue, queue: 0, queueWaitMs: 0 }, signal)
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

interface SendManifest extends ReadManifest {
  readonly slots: SlotLimiter
  readonly bodies: BodyDeps
  readonly transferMode: () => TransferMode
}

const PIECE_BYTES = 64 * 1024

/** A transfer like any other: it holds a slot until the client has received everything. */
async function sendManifest(
  deps: SendManifest,
  exchange: Exchange,
  caller: Caller,
  { parcel, applied }: { readonly parcel: ParcelRecord; readonly applied: readonly string[] },
): Promise<void> {
  using _slot = await exchange.whileQueued(deps.slots.acquire(slotRequest(caller, 'download'), exchange.signal))
  using _memory = await takeMemoryFor(deps, exchange, caller, parcel)
  using opened = await readManifest(deps, parcel)
  using _newer =
    opened.parcel.version === parcel.version ? null : await takeMemoryFor(deps, exchange, caller, opened.parcel)
  const sink = sinkFor(deps, exchange, { version: opened.parcel.version, bytes: opened.bytes, applied })
  exchange.sink = sink
  const { client, tier } = caller
  const charge = chargeFor(deps.bodies.rates, { clientId: client.clientId, tier, direction: 'download' })
  if (charge === null) await writePieces(sink, opened.bytes)
  else await exchange.withoutIdleTimeout(writePieces(paceSink(sink, charge, exchange.signal), opened.bytes))
}

/** The headers that GET would send. */
function headManifest(
  deps: Pick<SendManifest, 'transferMode'>,
  exchange: Exchange,
  { parcel, applied }: { readonly parcel: ParcelRecord; readonly applied: readonly string[] },
): void {
  const { version, manifestBytes } = parcel
  exchange.res.writeHead(200, manifestHeaders(deps, exchange, { version, lengthBytes: manifestBytes, applied }))
  exchange.res.end()
}

/** Readers of one version share one copy, so its memory is taken once from the common budget and once per client. */
function takeMemoryFor(
  { bodies: { memory } }: SendManifest,
  exchange: Exchange,
  { client }: Caller,
  { parcelId, version, manifestBytes }: ParcelRecord,
): Promise<HeldMemory> {
  const shared = { key: `${parcelId} ${version}`, bytes: manifestBytes }
  return exchange.whileQueued(memory.takeShared(client.clientId, shared, exchange.signal))
}

function sinkFor(
  deps: SendManifest,
  exchange: Exchange,
  { version, bytes, applied }: { version: number; bytes: Uint8Array; applied: readonly string[] },
): ResponseSink {
  const headers = manifestHeaders(deps, exchange, { version, lengthBytes: bytes.length, applied })
  const { watch, pace } = deps.bodies
  return new ResponseSink({ exchange, watch, pace: pace(), status: 200, headers, lengthBytes: bytes.length })
}

function manifestHeaders(
  { transferMode }: Pick<SendManifest, 'transferMode'>,
  exchange: Exchange,
  { version, lengthBytes, applied }: { version: number; lengthBytes: number; applied: readonly string[] },
): string[] {
  const headers = exchange.headers('Content-Length', String(lengthBytes), ...OPAQUE_HEADERS)
  headers.push('ETag', versionTag(version), HEADER.version, String(version), HEADER.transfer, transferMode())
  headers.push('Cache-Control', 'private, no-cache', ...applied)
  return headers
}

async function writePieces(sink: ByteSink, bytes: Uint8Array): Promise<void> {
  let from = 0
  do {
    await sink.write(bytes.subarray(from, from + PIECE_BYTES))
    from += PIECE_BYTES
  } while (from < bytes.length)
}
