import type { CryptoSuite } from '../../sealing/index.ts'
import type { ManifestItem } from '../manifest.ts'

/**
 * Names the bytes of an item: key and commitment pin them, the place tells copies in one parcel apart.
 * @returns 32 hexadecimal digits
 */
export function itemId(
  { key, commit, original }: ManifestItem,
  { parcelId, index, suite }: { parcelId: string; index: number; suite: Pick<CryptoSuite, 'sha256'> },
): string {
  const pinned = [index, key ?? parcelId, commit ?? '', ...(original ? ['original'] : [])].join('/')
  const digest = suite
    .sha256()
    .update(new TextEncoder().encode(`sealift/1/item/${pinned}`))
    .digest()
  return Array.from(digest.subarray(0, 16), byte => byte.toString(16).padStart(2, '0')).join('')
}
