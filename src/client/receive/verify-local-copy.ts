import {
  createSealer,
  HEADER_BYTES,
  isSealingError,
  NONCE_PREFIX_BYTES,
  plainCapacity,
  plainLength,
  sealedChunkCount,
} from '../../sealing/index.ts'
import type { Bytes, CryptoSuite, Sealer } from '../../sealing/index.ts'
import type { RandomSource } from '../api/source-and-sink.ts'
import { fromBase64Url, toBase64Url } from '../bytes/base64url.ts'
import type { CompleteItem, ManifestItem } from '../manifest/manifest.ts'
import { damagedMedia, receiveError } from '../manifest/media-errors.ts'
import { readSealedHeader } from './follow-media.ts'
import { hasOriginal } from './download-context.ts'
import type { DownloadContext, ItemDownload } from './download-context.ts'
import { grantOf, MediaSource } from './media-source.ts'
import { withOriginal } from './original-file.ts'
import { holdsOriginal } from './original-delivery.ts'

interface Comparison {
  readonly item: CompleteItem
  readonly media: MediaSource
  readonly source: RandomSource
  readonly suite: CryptoSuite
}

/**
 * Whether a source holds the plaintext of an item: sealed again under the same header, it must have the hash that is in
 * the manifest. Only the header is fetched. The sealed bytes are hashed and dropped, since other bytes sealed under the
 * same key must never leave.
 */
async function holdsItem({ item, media, source, suite }: Comparison, signal: AbortSignal): Promise<boolean> {
  if (source.sizeBytes !== item.bytes) return false
  const header = await readSealedHeader(media, signal)
  const sealer = await sealerOf(header, item, suite)
  const whole = suite.sha256().update(header)
  const chunks = sealedChunkCount(item.sealedBytes, item.chunkBytes)
  const paddedBytes = plainLength(item.sealedBytes, item.chunkBytes)
  for (let chunk = 0, at = 0; chunk < chunks; chunk += 1) {
    const plain = new Uint8Array(Math.min(plainCapacity(chunk, item.chunkBytes), paddedBytes - at))
    const end = Math.min(item.bytes, at + plain.byteLength)
    if (end > at) plain.set(await source.read(at, end, signal))
    whole.update(await sealer.sealChunk(chunk, plain, chunk === chunks - 1))
    at += plain.byteLength
  }
  return toBase64Url(whole.digest()) === item.sha256
}

/** A header is a byte, the salt and the nonce prefix. @throws damaged_media when it is none */
async function sealerOf(header: Bytes, item: CompleteItem, suite: CryptoSuite): Promise<Sealer> {
  const key = fromBase64Url(item.key)
  if (!key || header.byteLength !== HEADER_BYTES) throw damagedMedia()
  const noncePrefix = header.subarray(HEADER_BYTES - NONCE_PREFIX_BYTES)
  const salt = header.subarray(1, HEADER_BYTES - NONCE_PREFIX_BYTES)
  try {
    return await createSealer({ suite, key, role: 'media', chunkBytes: item.chunkBytes, salt, noncePrefix })
  } catch (error) {
    throw isSealingError(error) ? damagedMedia() : error
  }
}

/** Whether `source` holds the bytes of an item, or its original file where it has one. */
export async function compareItem(
  context: DownloadContext,
  { item, source, resume }: Pick<ItemDownload, 'item' | 'resume'> & { readonly source: RandomSource },
  signal: AbortSignal,
): Promise<boolean> {
  if (!isComplete(item)) return false
  const { server, suite } = context
  const { media: mediaId, sealedBytes } = item
  try {
    if (item.original) {
      if (!hasOriginal(item)) return false
      return await withOriginal(context, { item, resume }, signal, file =>
        holdsOriginal({ file, source, suite }, signal),
      )
    }
    const media = new MediaSource({ server, mediaId, sealedBytes, sending: false, ...grantOf(resume) })
    return await holdsItem({ item, media, source, suite }, signal)
  } catch (error) {
    throw receiveError(error, false)
  }
}

function isComplete(item: ManifestItem): item is CompleteItem {
  return item.state === 'complete'
}
