import { randomBytes } from 'node:crypto'

/** Ids that name a request in the log: random for each process, then counted. They are no secret and no right. */
export function createRequestIds(): () => string {
  const process = randomBytes(6).toString('base64url')
  let count = 0
  return () => `${process}${(count++).toString(36)}`
}
