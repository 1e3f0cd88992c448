import { timingSafeEqual } from 'node:crypto'

import type { OwnershipProof, ClientId } from './record-types.ts'

/** True when `claim` may change what `made` owns: the same client by name, or the holder of the owner secret. */
export function owns(claim: OwnershipProof, made: { client_id: ClientId; owner_hash: string | null }): boolean {
  if (claim.clientId !== null && claim.clientId === made.client_id) return true
  return claim.ownerHash !== null && made.owner_hash !== null && sameHash(claim.ownerHash, made.owner_hash)
}

function sameHash(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right))
}
