/** The far side of `hash-thread.ts`: hashes parts where they lie, in shared memory. */
import { createHash, type Hash } from 'node:crypto'
import { parentPort } from 'node:worker_threads'

import { type HashResult, type HashCall, READY } from './hash-thread.ts'

const hashes = new Map<number, Hash>()

parentPort?.on('message', ({ id, hash, part }: HashCall) => post({ id, digest: work(hash, part) }))
post(READY)

function work(number: HashCall['hash'], part: Uint8Array | null): HashResult['digest'] {
  if (number === 'md5') return part && new Uint8Array(createHash('md5').update(part).digest())
  const hash = hashes.get(number) ?? createHash('sha256')
  hashes.set(number, hash)
  if (part) hash.update(part)
  if (part) return null
  hashes.delete(number)
  return new Uint8Array(hash.digest())
}

function post(message: HashResult): void {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
  parentPort?.postMessage(message)
}
