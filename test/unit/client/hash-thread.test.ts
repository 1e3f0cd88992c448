import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { HashThread } from '../../../src/client/node/hash-thread.ts'
import { hashingHere, type PartHashing } from '../../../src/client/send/part-hashing.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'

const CHILD = join(import.meta.dirname, '../../support/hash-thread-child.ts')
const PARTS = [1, 70_000, 1_000_000].map(size => randomBytes(size))

/** In memory of the hashing's choice, as parts of a send are. */
async function digestOf(hashing: PartHashing, parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const hash = await hashing.start()
  const memory = hashing.allocate(1_000_000)
  for (const part of parts) {
    memory.set(part)
    // The memory is used again at once, as soon as it is said to be free.
    await hash.update(memory.subarray(0, part.byteLength))
  }
  return hash.digest()
}

const expected = (parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(createHash('sha256').update(Buffer.concat(parts)).digest())

test('a hashing thread gives the digests that hashing here gives, also of several media at once', async () => {
  await using thread = new HashThread(hashingHere(nodeSuite))
  const orders = [PARTS, PARTS.toReversed(), []]
  const digests = await Promise.all(orders.map(parts => digestOf(thread, parts)))
  expect(digests).toEqual(orders.map(expected))
  expect(await digestOf(hashingHere(nodeSuite), PARTS)).toEqual(expected(PARTS))
})

test('what waits for a thread that ends fails instead of waiting for ever', async () => {
  const thread = new HashThread(hashingHere(nodeSuite))
  const hash = await thread.start()
  const digest = hash.update(thread.allocate(50_000_000)).then(() => hash.digest())
  await thread[Symbol.asyncDispose]()
  await expect(digest).rejects.toThrow('ended')
})

test.each(['asked', 'responded'])('a process that ends a hashing thread waits for that end: %s', async moment => {
  const child = spawn(process.execPath, [CHILD, moment], { stdio: 'ignore' })
  const [code] = (await once(child, 'exit')) as [number | null]
  expect(code).toBe(0)
})
