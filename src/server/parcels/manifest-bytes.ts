import { SealiftError } from '../../protocol/errors.ts'
import type { Tier } from '../access/caller.ts'

/** @throws too_large (limit `manifestBytes`) */
export function assertManifestFits(
  { length }: Uint8Array,
  { manifestBytes: value }: Pick<Tier, 'manifestBytes'>,
): void {
  if (length > value) throw manifestTooLarge(length, value)
}

export function manifestTooLarge(sizeBytes: number, value: number): SealiftError {
  return new SealiftError('too_large', `A sealed manifest may have ${value} bytes; this one has ${sizeBytes}`, {
    context: { limit: 'manifestBytes', value },
  })
}
