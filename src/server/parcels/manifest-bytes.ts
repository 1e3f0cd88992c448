import { SealiftError } from '../../protocol/errors.ts'
import type { Tier } from '../access/access.ts'

/** The sealed manifest out of its base64url. @throws too_large (limit `manifestBytes`) */
export function manifestBytes(base64url: string, { manifestBytes: value }: Tier): Uint8Array {
  const bytes = Buffer.from(base64url, 'base64url')
  if (bytes.length <= value) return bytes
  throw new SealiftError('too_large', `A sealed manifest may have ${value} bytes; this one has ${bytes.length}`, {
    context: { limit: 'manifestBytes', value },
  })
}
