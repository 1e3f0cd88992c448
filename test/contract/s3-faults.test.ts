/** What the S3 store does when the service, or the way to it, fails: each call × each fault. */
import { inspect } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { openS3BlobStore, type S3BlobStore } from '../../src/server/blobs/s3-blob-store.ts'
import type { BlobAddress } from '../../src/server/blobs/blob-store.ts'
import type { S3Connection } from '../../src/server/blobs/s3/s3-connection.ts'
import { freshId, piecesOf, readBytes, steady, storeBlob } from '../support/blob-bytes.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { eventually } from '../support/eventually.ts'
import { bytesFor } from '../support/random.ts'
import { makeBucket } from '../support/s3-bucket.ts'
import { type S3Call, type S3Fault, type S3FaultProxy, startS3FaultProxy } from '../support/s3-fault-proxy.ts'

const PART = 512 * 1024
const TRIES = 3
const TIMEOUT_MS = 300
const bytes = bytesFor('faults', 2 * PART + 1000)

let bucket: S3Connection
let proxy: S3FaultProxy
/** Straight to the service. */
let direct: S3BlobStore
let store: S3BlobStore
let stored: BlobAddress

const open = (options: Partial<Parameters<typeof openS3BlobStore>[0]> = {}): S3BlobStore =>
  openS3BlobStore({
    ...bucket,
    endpoint: proxy.url,
    requestTimeoutMs: TIMEOUT_MS,
    tries: TRIES,
    random: () => 0.1,
    ...options,
  })

beforeAll(async () => {
  bucket = await makeBucket(await sharedEngine(cephEngine))
  proxy = await startS3FaultProxy(bucket.endpoint)
  direct = openS3BlobStore(bucket)
})
beforeEach(async () => {
  store = open()
  proxy.faults = () => null
  stored = await storeBlob(direct, bytes, PART)
  proxy.resetCounts()
})
afterAll(async () => {
  await direct[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
})

const newBlob = (): BlobAddress => ({ blobId: freshId(), partBytes: PART })
const part = bytes.subarray(0, PART)
const put = (blob: BlobAddress, signal = steady(), to = store) =>
  to.putPart({ ...blob, index: 0, sizeBytes: PART }, piecesOf(part), signal)
const isWhole = async (blob: BlobAddress, expected: Buffer) =>
  (await readBytes(direct, blob, { start: 0, end: expected.length })).equals(expected)

/** What each call is made by, and how to see that it did its work, once. */
const operations: Readonly<Record<'PUT' | 'GET' | 'LIST' | 'DELETE', () => Promise<boolean>>> = {
  PUT: async () => {
    const blob = newBlob()
    const size = await put(blob)
    const facts = await direct.stat(blob.blobId)
    return size === PART && facts?.sizeBytes === PART && (await isWhole(blob, Buffer.from(part)))
  },
  GET: async () => (await readBytes(store, stored, { start: 0, end: bytes.length })).equals(bytes),
  LIST: async () => {
    await store.complete(stored, bytes.length)
    return isWhole(stored, bytes)
  },
  DELETE: async () => {
    await store.delete(stored.blobId)
    return (await direct.stat(stored.blobId)) === null
  },
}

const faults: readonly (readonly [name: string, fault: S3Fault, calls?: readonly S3Call[]])[] = [
  ['503 SlowDown', { how: 'status', status: 503, code: 'SlowDown' }],
  ['500', { how: 'status', status: 500, code: 'InternalError' }],
  ['429', { how: 'status', status: 429, code: 'TooManyRequests' }],
  ['400 RequestTimeout', { how: 'status', status: 400, code: 'RequestTimeout' }],
  ['200 with an error in the body', { how: 'error-in-200' }],
  ['no answer', { how: 'hang' }],
  ['an answer that is lost after success', { how: 'lose-answer' }],
  ['a reset in the middle of the request', { how: 'reset-request', afterBytes: PART / 2 }, ['PUT']],
  ['a reset before the answer', { how: 'reset-request', afterBytes: 0 }],
  ['a reset in the middle of the answer', { how: 'reset-answer', afterBytes: 100_000 }, ['GET']],
  ['a reset in the middle of the answer', { how: 'reset-answer', afterBytes: 100 }, ['LIST']],
  ['an answer that stops half way', { how: 'stall-answer', afterBytes: 100_000 }, ['GET']],
  ['an answer that stops half way', { how: 'stall-answer', afterBytes: 100 }, ['LIST']],
  ['an answer that is too short', { how: 'short-answer', bytes: 1000 }, ['GET', 'LIST']],
]
const table = Object.keys(operations).flatMap(call =>
  faults
    .filter(([, , calls]) => !calls || calls.includes(call as S3Call))
    .map(([name, fault]) => ({ call: call as keyof typeof operations, name, fault })),
)

const nobodyWaits = () => eventually('no connection is held', () => proxy.busyConnections() === 0)

describe('a fault that passes', () => {
  it.each(table)('$call, $name: the call is repeated and its work is done once', async ({ call, fault }) => {
    proxy.faults = (each, nth) => (each === call && nth < TRIES ? fault : null)
    expect(await operations[call]()).toBe(true)
    expect(proxy.calls(call)).toBeGreaterThanOrEqual(TRIES)
    await nobodyWaits()
    await store[Symbol.asyncDispose]()
  })
})

describe('a fault that stays', () => {
  it.each(table)('$call, $name: rejected as unavailable, in time, nothing left open', async ({ call, fault }) => {
    proxy.faults = each => (each === call ? fault : null)
    const before = performance.now()
    const failure = await operations[call]().catch((error: unknown) => error)
    // A read that brings some bytes with every try needs a few more tries for all of them.
    const bound = call === 'GET' ? 20 * TIMEOUT_MS : (TRIES + 2) * TIMEOUT_MS + 1000
    expect(performance.now() - before).toBeLessThan(bound + 3000)
    if (failure !== true) expect(failure).toMatchObject({ code: 'unavailable' })
    else expect(call, 'only what brings bytes with every try, or had done its work, may succeed').not.toBe('PUT')
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain('may hold a signature')
    expect(inspect(failure, { depth: 9, showHidden: true })).not.toContain(bucket.secretAccessKey)
    await nobodyWaits()
    await store[Symbol.asyncDispose]()
  })

  it('is asked no more often than the budget of retries allows, however many call', async () => {
    proxy.faults = call => (call === 'PUT' ? { how: 'status', status: 503, code: 'SlowDown' } : null)
    const calls = 80
    const small = Buffer.alloc(10, 1)
    const all = Array.from({ length: calls }, () =>
      store.putPart({ ...newBlob(), index: 0, sizeBytes: 10 }, piecesOf(small), steady()),
    )
    const outcomes = await Promise.allSettled(all)
    expect(outcomes.every(each => each.status === 'rejected')).toBe(true)
    expect(proxy.calls('PUT')).toBeLessThanOrEqual(calls + 100)
    await store[Symbol.asyncDispose]()
  })
})

describe('what a repeat cannot help', () => {
  it.each([
    ['403 AccessDenied', 403, 'AccessDenied', 'unavailable'],
    ['404 NoSuchBucket', 404, 'NoSuchBucket', 'unavailable'],
    ['403 QuotaExceeded', 403, 'QuotaExceeded', 'storage_full'],
    ['507', 507, 'InsufficientStorage', 'storage_full'],
  ])('%s: told at once', async (_, status, code, expected) => {
    proxy.faults = () => ({ how: 'status', status, code })
    await expect(put(newBlob())).rejects.toMatchObject({ code: expected })
    expect(proxy.calls('PUT')).toBe(1)
    await store[Symbol.asyncDispose]()
  })

  it('a port where nobody listens', async () => {
    const nowhere = open({ endpoint: 'http://127.0.0.1:9' })
    await expect(put(newBlob(), steady(), nowhere)).rejects.toMatchObject({ code: 'unavailable' })
    await nowhere[Symbol.asyncDispose]()
  })

  it('an object that went missing: damaged, never a part of the bytes as if it were all', async () => {
    await direct.complete(stored, bytes.length)
    proxy.faults = (call, nth) =>
      call === 'GET' && nth === 2 ? { how: 'status', status: 404, code: 'NoSuchKey' } : null
    const read = readBytes(store, stored, { start: 0, end: bytes.length })
    await expect(read).rejects.toMatchObject({ code: 'damaged' })
    await nobodyWaits()
    await store[Symbol.asyncDispose]()
  })
})

describe('whoever goes away', () => {
  const reason = new Error('gone')
  const hang = (call: S3Call) => {
    proxy.faults = each => (each === call ? { how: 'hang' } : null)
  }

  it.each(['PUT', 'GET'] as const)('aborts a %s that hangs, at once', async call => {
    const patient = open({ requestTimeoutMs: 60_000 })
    hang(call)
    const controller = new AbortController()
    const { signal } = controller
    const sink = { write: () => undefined }
    const work =
      call === 'PUT' ? put(newBlob(), signal, patient) : patient.read(stored, { start: 0, end: 10 }, sink, signal)
    work.catch(() => undefined)
    await eventually('the call has begun', () => proxy.busyConnections() > 0)
    controller.abort(reason)
    await expect(work).rejects.toBe(reason)
    await nobodyWaits()
    await patient[Symbol.asyncDispose]()
  })

  it('frees the connection when a reader stops in the middle', async () => {
    const controller = new AbortController()
    const { promise: reached, resolve } = Promise.withResolvers<void>()
    const hanging = {
      write: () => {
        resolve()
        return new Promise<void>(() => undefined)
      },
    }
    const read = store.read(stored, { start: 0, end: bytes.length }, hanging, controller.signal)
    read.catch(() => undefined)
    await reached
    controller.abort(reason)
    await expect(read).rejects.toBe(reason)
    await nobodyWaits()
    await store[Symbol.asyncDispose]()
  })

  it('a reader that is slower than every deadline still gets all its bytes', async () => {
    const taken: Buffer[] = []
    let waits = 0
    const slow = {
      write: async (piece: Uint8Array) => {
        taken.push(Buffer.from(piece))
        waits += 1
        if (waits <= 2) await new Promise(resolve => setTimeout(resolve, 2 * TIMEOUT_MS))
      },
    }
    await store.read(stored, { start: 0, end: bytes.length }, slow, steady())
    expect(Buffer.concat(taken).equals(bytes)).toBe(true)
    await store[Symbol.asyncDispose]()
  })

  it('a sender that is slower than every deadline still stores its part, gathered or passed on', async () => {
    for (const memoryBytes of [PART * 4, PART / 4]) {
      const patient = open({ memoryBytes })
      const blob = newBlob()
      let pauses = 0
      const slow = async function* () {
        for await (const piece of piecesOf(part, PART / 4)) {
          yield piece
          pauses += 1
          if (pauses <= 2) await new Promise(resolve => setTimeout(resolve, 2 * TIMEOUT_MS))
        }
      }
      expect(await patient.putPart({ ...blob, index: 0, sizeBytes: PART }, slow(), steady())).toBe(PART)
      expect(await isWhole(blob, Buffer.from(part))).toBe(true)
      await patient[Symbol.asyncDispose]()
    }
  })
})
