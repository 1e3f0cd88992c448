import { SealiftError } from '../../protocol/errors.ts'
import { isSealingError, openBytes, sealBytes, withoutTrailingZeros } from '../../sealing/index.ts'
import type { CryptoSuite } from '../../sealing/index.ts'
import { read } from '../../protocol/reader.ts'
import { manifestReader } from './manifest-readers.ts'
import { MANIFEST_VERSION } from './manifest.ts'
import type { Manifest } from './manifest.ts'

/** Whom a manifest is sealed for. */
export interface ManifestKey {
  readonly suite: CryptoSuite
  /** The link's 32 bytes. */
  readonly key: Uint8Array
}

/** Seals a manifest, padded. Every call draws a fresh salt, so that all versions may share the link's key. */
export async function sealManifest(manifest: Manifest, { suite, key }: ManifestKey): Promise<Uint8Array<ArrayBuffer>> {
  const plain = new TextEncoder().encode(JSON.stringify(manifest))
  return (await sealBytes({ suite, key, role: 'manifest', plain })).sealed
}

/**
 * Opens and checks a manifest.
 * @throws damaged_media (altered, or the wrong key), unsupported_version, invalid_manifest
 */
export async function openManifest(sealed: Uint8Array, { suite, key }: ManifestKey): Promise<Manifest> {
  const plain = await openBytes({ suite, key, role: 'manifest', sealed }).catch((error: unknown) => {
    throw isSealingError(error, 'damaged') ? unreadable() : error
  })
  return parseManifest(decode(withoutTrailingZeros(plain)))
}

/** @throws unsupported_version, invalid_manifest */
export function parseManifest(json: unknown): Manifest {
  if (isNewer(json)) {
    throw new SealiftError('unsupported_version', 'This was sent by a newer version of Sealift: update to open it')
  }
  const { value, refused } = read(manifestReader, json)
  if (value) return value
  // Which field, but never its value: it may be a key or a name.
  const fields = refused.slice(0, 5)
  throw new SealiftError('invalid_manifest', 'The manifest cannot be read', { context: { fields } })
}

function isNewer(json: unknown): boolean {
  if (typeof json !== 'object' || json === null || !('v' in json)) return false
  return typeof json.v === 'number' && json.v > MANIFEST_VERSION
}

function decode(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch {
    throw new SealiftError('invalid_manifest', 'The manifest cannot be read')
  }
}

function unreadable(): SealiftError {
  return new SealiftError('damaged_media', 'The key of this link does not open it: the link is incomplete or altered')
}
