/** A manifest on its way to a reader: in pieces, no faster than the reader takes them and the tier allows. */
import { HEADER } from '../../protocol/headers.ts'
import type { TransferMode } from '../../protocol/schemas.ts'
import type { ByteSink } from '../blobs/blob-store.ts'
import type { Caller } from '../access/caller.ts'
import type { RateLimiter, SlotLimiter } from '../limits/limiter.ts'
import { chargeFor, paceSink } from '../limits/pacing.ts'
import type { HeldMemory, RequestMemory } from '../buffers/request-memory.ts'
import { readManifest, type ReadManifest } from '../parcels/read-manifest.ts'
import type { ParcelFacts } from '../records/record-store.ts'
import { slotRequest } from '../access/transfer-slot.ts'
import { OPAQUE_HEADERS } from './responses.ts'
import { versionTag } from './conditions.ts'
import type { Exchange } from './exchange.ts'
import { ResponseSink } from './response-sink.ts'
import type { Pace, StallWatch } from './stall-watch.ts'

export interface SendManifest extends ReadManifest {
  readonly slots: SlotLimiter
  readonly rates: RateLimiter
  readonly memory: RequestMemory
  readonly watch: StallWatch
  readonly pace: () => Pace
  readonly transferMode: () => TransferMode
}

const PIECE_BYTES = 64 * 1024

/** A transfer like any other: it holds a slot until the client has all of it. */
export async function sendManifest(
  deps: SendManifest,
  exchange: Exchange,
  caller: Caller,
  { parcel, applied }: { readonly parcel: ParcelFacts; readonly applied: readonly string[] },
): Promise<void> {
  using _slot = await exchange.whileQueued(deps.slots.acquire(slotRequest(caller, 'download'), exchange.signal))
  using _memory = await takeFor(deps, exchange, caller, parcel)
  using opened = await readManifest(deps, parcel)
  using _newer = opened.parcel.version === parcel.version ? null : await takeFor(deps, exchange, caller, opened.parcel)
  const sink = sinkFor(deps, exchange, { version: opened.parcel.version, bytes: opened.bytes, applied })
  exchange.sink = sink
  const { client, tier } = caller
  const charge = chargeFor(deps.rates, { clientId: client.clientId, tier, direction: 'download' })
  if (charge === null) await writePieces(sink, opened.bytes)
  else await exchange.withoutIdleTimeout(writePieces(paceSink(sink, charge, exchange.signal), opened.bytes))
}

/** What GET would send before the manifest, which is not looked at. */
export function headManifest(
  deps: Pick<SendManifest, 'transferMode'>,
  exchange: Exchange,
  { parcel, applied }: { readonly parcel: ParcelFacts; readonly applied: readonly string[] },
): void {
  const { version, manifestBytes } = parcel
  exchange.res.writeHead(200, manifestHeaders(deps, exchange, { version, lengthBytes: manifestBytes, applied }))
  exchange.res.end()
}

/** Readers of one version hold one copy of it, so they take its memory once: of the common budget, and of each client's. */
function takeFor(
  { memory }: SendManifest,
  exchange: Exchange,
  { client }: Caller,
  { parcelId, version, manifestBytes }: ParcelFacts,
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
  const { watch, pace } = deps
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
