import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { DEFAULT_CHUNK_BYTES, paddedLength, sealedLength } from '../../sealing/index.ts'
import type { SendItem } from '../api/options.ts'
import { toBase64Url } from '../bytes/base64url.ts'
import { MANIFEST_VERSION, MAX_ITEMS } from '../manifest/manifest.ts'
import type { ManifestItem } from '../manifest/manifest.ts'
import type { Server } from '../wire/http.ts'
import { readLimits } from '../wire/parcels.ts'
import { sourceBytes } from './plain-parts.ts'

/** So little, a sixtieth of the usual limit, is not worth a question to the server. */
const UNASKED_BYTES = 64 * 1024
/** As many characters as the real ones have. */
const SOME_32_BYTES = toBase64Url(new Uint8Array(32))
const SMALLEST_CHUNK_BYTES = 64 * 1024
const SOME_ID = 'a'.repeat(26)

/**
 * Refuses what no manifest, or none that this server takes, can describe, before a byte of it is sent. Counts what is
 * known for certain, so it never refuses what would have fitted; the server still has the last word.
 * @throws too_large with `context.fits`: how many of the items do, from the first on
 */
export async function checkManifestFits(
  server: Server,
  { items, padding }: { readonly items: readonly SendItem[]; readonly padding: boolean },
  signal: AbortSignal,
): Promise<void> {
  const media = items.reduce((sum, { thumbnail }) => sum + (thumbnail ? 2 : 1), 0)
  if (media > MAX_ITEMS) throw tooMany(items)
  const sizes = items.map(item => itemBytes(item, padding))
  if (sealedBytesOf(sizes) <= UNASKED_BYTES) return
  const value = await manifestLimit(server, signal)
  if (value === null || sealedBytesOf(sizes) <= value) return
  const fits = lastThatFits(sizes, value)
  const message =
    `The description of ${items.length} items takes ${sealedBytesOf(sizes)} bytes and the server accepts ${value}, ` +
    `which is enough for the first ${fits}`
  throw new SealiftError('too_large', message, { context: { limit: 'manifestBytes', value, fits } })
}

function tooMany(items: readonly SendItem[]): SealiftError {
  let media = 0
  const over = items.findIndex(({ thumbnail }) => (media += thumbnail ? 2 : 1) > MAX_ITEMS)
  const message = `A link holds at most ${MAX_ITEMS} items, thumbnails included; of these ${items.length}, the first ${over} fit`
  return new SealiftError('too_large', message, { context: { limit: 'items', value: MAX_ITEMS, fits: over } })
}

/** `null` when the server does not tell: then it judges the manifest itself. */
async function manifestLimit(server: Server, signal: AbortSignal): Promise<number | null> {
  try {
    return (await readLimits(server, signal)).limits.manifestBytes
  } catch (error) {
    if (signal.aborted || !isSealiftError(error)) throw error
    return null
  }
}

/** Bytes of JSON, with the comma behind it. */
function itemBytes(item: SendItem, padding: boolean): number {
  const bytes = sourceBytes(item.source) ?? 0
  // What a film makes of it may be cut finer, and have fewer bytes.
  const chunkBytes = item.film ? SMALLEST_CHUNK_BYTES : DEFAULT_CHUNK_BYTES
  const sealedBytes = item.film ? 1 : sealedLength(padding ? paddedLength(bytes) : bytes, chunkBytes)
  const sealed = {
    bytes,
    media: SOME_ID,
    key: SOME_32_BYTES,
    chunkBytes,
    sealedBytes,
    sha256: SOME_32_BYTES,
    commit: SOME_32_BYTES,
  }
  const shown = item.thumbnail ? { thumbnail: { ...sealed, bytes: 1, sealedBytes: 100 } } : {}
  const json = JSON.stringify({ ...describedItem(item), ...shown, ...sealed, state: 'complete' })
  return new TextEncoder().encode(json).byteLength + 1
}

function sealedBytesOf(sizes: readonly number[]): number {
  const frame = JSON.stringify({ v: MANIFEST_VERSION, createdAt: new Date(0).toISOString(), items: [] }).length
  const plain = sizes.reduce((sum, size) => sum + size, frame - 1)
  return sealedLength(paddedLength(plain), DEFAULT_CHUNK_BYTES)
}

function lastThatFits(sizes: readonly number[], value: number): number {
  let [fits, above] = [0, sizes.length]
  while (above - fits > 1) {
    const middle = Math.floor((fits + above) / 2)
    if (sealedBytesOf(sizes.slice(0, middle)) <= value) fits = middle
    else above = middle
  }
  return fits
}

type Described = Pick<ManifestItem, 'name' | 'type' | 'preview' | 'modifiedAt'>

/** What the sender says of an item, as it stands in the manifest from the first version on. */
export function describedItem(item: SendItem): Described {
  return {
    name: item.name,
    type: item.type ?? 'application/octet-stream',
    ...(item.preview && { preview: item.preview }),
    ...(item.modifiedAt !== undefined && { modifiedAt: item.modifiedAt }),
  }
}
