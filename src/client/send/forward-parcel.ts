import pLimit from 'p-limit'

import { SealiftError } from '../../protocol/errors.ts'
import { KEY_BYTES } from '../../sealing/index.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import { toBase64Url } from '../bytes/base64url.ts'
import { formatLink } from '../link.ts'
import { mediaOfItem, withMedia, isSent, MANIFEST_VERSION } from '../manifest/manifest.ts'
import type { Manifest, ManifestItem } from '../manifest/manifest.ts'
import { sealManifest } from '../manifest/manifest-codec.ts'
import type { Media } from '../../protocol/response-readers.ts'
import type { Forwarded, LeaseOptions } from '../api/options.ts'
import { TaskGroup } from '../concurrency/task-group.ts'
import type { Server } from '../wire/http.ts'
import { endLease, forwardMedia, postParcel } from '../wire/parcels.ts'

export interface ForwardRequest {
  readonly server: Server
  readonly suite: CryptoSuite
  readonly manifest: Manifest
  readonly lease: LeaseOptions
  readonly parallel: number
}

/** New leases of all media of a manifest, and a new parcel over them. What was made is undone when it fails. */
export async function forwardParcel(request: ForwardRequest, signal: AbortSignal): Promise<Forwarded> {
  const { server, suite, manifest } = request
  if (!manifest.items.every(isSent)) {
    throw new SealiftError('upload_in_progress', 'This is still being sent: forward it when all of it is there')
  }
  const owner = toBase64Url(suite.randomBytes(32))
  const leases = new Map<string, Media>()
  try {
    await leaseAll(request, { owner, leases }, signal)
    const items = manifest.items.map(item => withMedia(item, media => leases.get(media)?.mediaId ?? media))
    return await publish(request, { owner, items, leases: Array.from(leases.values()) }, signal)
  } catch (error) {
    await endAll(server, owner, leases)
    throw error
  }
}

async function leaseAll(
  { server, suite, manifest, lease, parallel }: ForwardRequest,
  { owner, leases }: { owner: string; leases: Map<string, Media> },
  signal: AbortSignal,
): Promise<void> {
  const group = new TaskGroup(signal)
  const limit = pLimit(parallel)
  for (const mediaId of new Set(manifest.items.flatMap(mediaOfItem))) {
    const idempotencyKey = toBase64Url(suite.randomBytes(24))
    group.spawn(inner =>
      limit(async () => {
        const made = await forwardMedia(server, { mediaId, owner, idempotencyKey, lease }, inner)
        leases.set(mediaId, made)
      }),
    )
  }
  await group.join()
}

async function publish(
  { server, suite, lease }: ForwardRequest,
  made: { owner: string; items: readonly ManifestItem[]; leases: readonly Media[] },
  signal: AbortSignal,
): Promise<Forwarded> {
  const { owner, items, leases } = made
  const media = leases.map(({ mediaId }) => mediaId)
  const key = suite.randomBytes(KEY_BYTES)
  const createdAt = new Date().toISOString()
  const sealed = await sealManifest({ v: MANIFEST_VERSION, createdAt, items: [...items] }, { suite, key })
  const idempotencyKey = toBase64Url(suite.randomBytes(24))
  const parcel = await postParcel(
    server,
    { sealed, media, owner, idempotencyKey, ttlSeconds: longestOf(leases) ?? lease.ttlSeconds },
    signal,
  )
  const { parcelId, expiresAt } = parcel
  const link = formatLink({ server: server.base, parcelId, key })
  return { link, parcelId, ownerSecret: owner, expiresAt, ...termsOf(leases, expiresAt) }
}

/** Seconds that the longest of the new leases lives, by the server's clock: the new link need not outlive it. */
function longestOf(leases: readonly Media[]): number | undefined {
  const seconds = leases.map(({ createdAt, expiresAt }) => (Date.parse(expiresAt) - Date.parse(createdAt)) / 1000)
  return seconds.length === 0 ? undefined : Math.max(1, Math.floor(Math.max(...seconds)))
}

/** What holds for all items together. */
function termsOf(
  leases: readonly Media[],
  expiresAt: string,
): Pick<Forwarded, 'endsWithSource' | 'maxDownloads' | 'itemsExpireAt'> {
  const counts = leases.flatMap(({ maxDownloads }) => maxDownloads ?? [])
  const ends = [...leases.map(lease => lease.expiresAt), expiresAt].map(instant => Date.parse(instant))
  return {
    endsWithSource: leases.some(lease => lease.endsWithSource === true),
    maxDownloads: counts.length === 0 ? null : Math.min(...counts),
    itemsExpireAt: new Date(Math.min(...ends)).toISOString(),
  }
}

async function endAll(server: Server, owner: string, leases: ReadonlyMap<string, Media>): Promise<void> {
  const signal = AbortSignal.timeout(5000)
  const limit = pLimit(16)
  const ends = Array.from(leases.values(), ({ mediaId }) => limit(() => endLease(server, { mediaId, owner }, signal)))
  await Promise.allSettled(ends)
}
