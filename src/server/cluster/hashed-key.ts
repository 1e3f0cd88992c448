import { createHash } from 'node:crypto'

/** How Valkey knows a client or an address: what they are called is nobody's business who looks in there. */
export function hiddenName(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 22)
}
