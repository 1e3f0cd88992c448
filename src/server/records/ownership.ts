import { timingSafeEqual } from 'node:crypto'

import type { OwnershipProof, ClientId } from './record-types.ts'

/** True when `proof` permits a change of `record`: the same client, or the owner secret. */
export function owns(proof: OwnershipProof, record: { client_id: ClientId; owner_hash: string | null }): boolean {
  if (proof.clientId !== null && proof.clientId === record.client_id) return true
  return proof.ownerHash !== null && record.owner_hash !== null && sameHash(proof.ownerHash, record.owner_hash)
}

function sameHash(left: string, right: string): boolean {
  return left.length === right.length && timingSafeEqual(Buffer.from(left), Buffer.from(right))
}
