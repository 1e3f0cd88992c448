/** What the S3 store does when the service, or the way to it, fails: each call × each fault. */
import { setTimeout as sleep } from 'node:timers/promises'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { openS3BlobStore, type S3BlobStore, type S3BlobStoreOptions } from '../../src/server/blobs/s3/blob-store.ts'
import { isSealiftError } from '../../src/protocol/errors.ts'
import type { BlobAddress } from '../../src/server/blobs/blob-store.ts'
import type { S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
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
/** Straight to the service. */
let direct: S3BlobStore

beforeAll(async () => {
  bucket = await makeBucket(await sharedEngine(cephEngine))
  direct = openS3BlobStore(bucket)
})
afterAll(() => direct[Symbol.asyncDispose]())

interface Lab extends AsyncDisposable {
  readonly proxy: S3FaultProxy
  /** Through the proxy. */
  readonly store: S3BlobStore
  /** A complete blob with `bytes`. */
  readonly stored: BlobAddress
}

async function openLab(options: Partial<S3BlobStoreOptions> = {}): Promise<Lab> {
  const proxy = await startS3FaultProxy(bucket.endpoint)
  const store = openS3BlobStore({
    ...bucket,
    endpoint: proxy.url,
    requestTimeoutMs: TIMEOUT_MS,
    tries: TRIES,
    random: () => 0.1,
    ...options,
  })
  const stored = await storeBlob(direct, bytes, PART)
  const dispose = async (): Promise<void> => {
    await store[Symbol.asyncDispose]()
    await proxy[Symbol.asyncDispose]()
  }
  return { proxy, store, stored, [Symbol.asyncDispose]: dispose }
}

const newBlob = (): BlobAddress => ({ blobId: freshId(), partBytes: PART })
const part = bytes.subarray(0, PART)
const put = (store: S3BlobStore, blob: BlobAddress, signal = steady()) =>
  store.putPart({ ...blob, index: 0, sizeBytes: PART }, piecesOf(part), signal)
const isWhole = async (blob: BlobAddress, expected: Buffer) =>
  (await readBytes(direct, blob, { start: 0, end: expected.length })).equals(expected)

/** What each call is made by, and how to see that it did its work, once. */
const operations: Readonly<Record<'PUT' | 'GET' | 'LIST' | 'DELETE', (lab: Lab) => Promise<boolean>>> = {
  PUT: async ({ store }) => {
    const blob = newBlob()
    const size = await put(store, blob)
    const facts = await direct.stat(blob.blobId)
    return size === PART && facts?.sizeBytes === PART && (await isWhole(blob, Buffer.from(part)))
  },
  GET: async ({ store, stored }) => (await readBytes(store, stored, { start: 0, end: bytes.length })).equals(bytes),
  LIST: async ({ store, stored }) => {
    await store.complete(stored, bytes.length)
    return isWhole(stored, bytes)
  },
  DELETE: async ({ store, stored }) => {
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
  ['no response', { how: 'hang' }],
  ['a response that is lost after success', { how: 'lose-response' }],
  ['a reset in the middle of the request', { how: 'reset-request', afterBytes: PART / 2 }, ['PUT']],
  ['a reset before the response', { how: 'reset-request', afterBytes: 0 }],
  ['a reset in the middle of the response', { how: 'reset-response', afterBytes: 100_000 }, ['GET']],
  ['a reset in the middle of the response', { how: 'reset-response', afterBytes: 100 }, ['LIST']],
  ['a response that stops half way', { how: 'stall-response', afterBytes: 450_000 }, ['GET']],
  ['a response that stops half way', { how: 'stall-response', afterBytes: 100 }, ['LIST']],
  ['a response that is too short', { how: 'short-response', bytes: 1000 }, ['GET', 'LIST']],
]
const table = Object.keys(operations).flatMap(call =>
  faults
    .filter(([, , calls]) => !calls || calls.includes(call as S3Call))
    .map(([name, fault]) => ({ call: call as keyof typeof operations, name, fault })),
)

const comesThrough = new Set(['GET reset-response', 'GET stall-response'])

const noConnectionIsHeld = ({ proxy }: Lab) => eventually('no connection is held', () => proxy.busyConnections() === 0)

describe.concurrent('a fault that passes', () => {
  it.each(table)('$call, $name: the call is repeated and its work is done once', async ({ call, fault }) => {
    await using lab = await openLab({ tries: 2 * TRIES })
    lab.proxy.faults = (each, nth) => (each === call && nth < TRIES ? fault : null)
    expect(await operations[call](lab)).toBe(true)
    expect(lab.proxy.calls(call)).toBeGreaterThanOrEqual(TRIES)
    await noConnectionIsHeld(lab)
  })
})

describe.concurrent('a fault that stays', () => {
  it.each(table)('$call, $name: rejected as unavailable, in time, nothing left open', async ({ call, fault }) => {
    await using lab = await openLab()
    lab.proxy.faults = each => (each === call ? fault : null)
    const before = performance.now()
    const failure = await operations[call](lab).catch((error: unknown) => error)
    expect(performance.now() - before).toBeLessThan(TRIES * TIMEOUT_MS + 10_000)
    // What brings bytes with every try comes to its end.
    const outcome = isSealiftError(failure) ? failure.code : failure
    expect(outcome).toBe(comesThrough.has(`${call} ${fault.how}`) ? true : 'unavailable')
    const told = inspect(failure, { depth: 9, showHidden: true })
    expect(told).not.toContain('may hold a signature')
    expect(told).not.toContain(bucket.secretAccessKey)
    await noConnectionIsHeld(lab)
  })

  it('is asked no more often than the budget of retries allows, however many call', async () => {
    await using lab = await openLab()
    lab.proxy.faults = () => ({ how: 'status', status: 503, code: 'SlowDown' })
    const calls = 80
    const small = Buffer.alloc(10, 1)
    const all = Array.from({ length: calls }, () =>
      lab.store.putPart({ ...newBlob(), index: 0, sizeBytes: 10 }, piecesOf(small), steady()),
    )
    const outcomes = await Promise.allSettled(all)
    expect(outcomes.every(each => each.status === 'rejected')).toBe(true)
    expect(lab.proxy.calls('PUT')).toBeLessThanOrEqual(calls + 100)
  })

  it('repeats reads once earlier reads have succeeded after an outage', async () => {
    await using lab = await openLab()
    const get = () => readBytes(lab.store, lab.stored, { start: 0, end: bytes.length })
    lab.proxy.faults = call => (call === 'GET' ? { how: 'status', status: 503, code: 'SlowDown' } : null)
    await Promise.allSettled(Array.from({ length: 60 }, get))
    lab.proxy.faults = () => null
    for (let count = 0; count < 10; count += 1) await get()
    const before = lab.proxy.calls('GET')
    lab.proxy.faults = (call, nth) =>
      call === 'GET' && nth === before + 1 ? { how: 'reset-response', afterBytes: 100_000 } : null
    expect((await get()).equals(bytes)).toBe(true)
  })
})

describe.concurrent('what a repeat cannot help', () => {
  it.each([
    ['403 AccessDenied', 403, 'AccessDenied', 'unavailable'],
    ['404 NoSuchBucket', 404, 'NoSuchBucket', 'unavailable'],
    ['403 QuotaExceeded', 403, 'QuotaExceeded', 'storage_full'],
    ['507', 507, 'InsufficientStorage', 'storage_full'],
  ])('%s: told at once', async (_, status, code, expected) => {
    await using lab = await openLab()
    lab.proxy.faults = () => ({ how: 'status', status, code })
    await expect(put(lab.store, newBlob())).rejects.toMatchObject({ code: expected })
    expect(lab.proxy.calls('PUT')).toBe(1)
  })

  it('a port without a listener', async () => {
    await using lab = await openLab({ endpoint: 'http://127.0.0.1:9' })
    await expect(put(lab.store, newBlob())).rejects.toMatchObject({ code: 'unavailable' })
  })

  it('an object that went missing: damaged, never a part of the bytes as if it were all', async () => {
    await using lab = await openLab()
    const { proxy, store, stored } = lab
    proxy.faults = (call, nth) =>
      call === 'GET' && nth === 2 ? { how: 'status', status: 404, code: 'NoSuchKey' } : null
    const read = readBytes(store, stored, { start: 0, end: bytes.length })
    await expect(read).rejects.toMatchObject({ code: 'damaged' })
    await noConnectionIsHeld(lab)
  })
})

describe.concurrent('looking at a part that a client has stored', () => {
  const sizeOf = async ({ store, stored }: Lab) => (await store.statPart({ ...stored, index: 0 }, steady()))?.sizeBytes

  it.each([503, 429, 403])('a HEAD with the response %d first', async status => {
    await using lab = await openLab()
    lab.proxy.faults = (call, nth) => (call === 'HEAD' && nth === 1 ? { how: 'status', status, code: 'Any' } : null)
    expect(await sizeOf(lab)).toBe(PART)
    expect(lab.proxy.calls('HEAD')).toBe(2)
  })

  it('a HEAD that is always refused is no absence', async () => {
    await using lab = await openLab()
    lab.proxy.faults = call => (call === 'HEAD' ? { how: 'status', status: 403, code: 'AccessDenied' } : null)
    await expect(sizeOf(lab)).rejects.toMatchObject({ code: 'unavailable' })
  })
})

describe.concurrent('a clock that is not the service’s', () => {
  it('is corrected by the SDK, and bytes come', async () => {
    await using lab = await openLab({ tries: 1 })
    const { proxy, store, stored } = lab
    proxy.faults = (call, nth) =>
      call === 'GET' && nth === 1 ? { how: 'status', status: 403, code: 'RequestTimeTooSkewed' } : null
    expect((await readBytes(store, stored, { start: 0, end: bytes.length })).equals(bytes)).toBe(true)
  })
})

describe.concurrent('clients that go away, or are slow', () => {
  const reason = new Error('gone')

  it.each(['PUT', 'GET'] as const)('aborts a %s that hangs, at once', async call => {
    await using lab = await openLab({ requestTimeoutMs: 60_000 })
    const { proxy, store, stored } = lab
    proxy.faults = each => (each === call ? { how: 'hang' } : null)
    const controller = new AbortController()
    const { signal } = controller
    const sink = { write: () => undefined }
    const work =
      call === 'PUT' ? put(store, newBlob(), signal) : store.read(stored, { start: 0, end: 10 }, sink, signal)
    work.catch(() => undefined)
    await eventually('the call has begun', () => proxy.busyConnections() > 0)
    controller.abort(reason)
    await expect(work).rejects.toBe(reason)
    await noConnectionIsHeld(lab)
  })

  it('frees the connection when a reader stops in the middle', async () => {
    await using lab = await openLab()
    const controller = new AbortController()
    const { promise: reached, resolve } = Promise.withResolvers<void>()
    const hanging = {
      write: () => {
        resolve()
        return new Promise<void>(() => undefined)
      },
    }
    const read = lab.store.read(lab.stored, { start: 0, end: bytes.length }, hanging, controller.signal)
    read.catch(() => undefined)
    await reached
    controller.abort(reason)
    await expect(read).rejects.toBe(reason)
    await noConnectionIsHeld(lab)
  })

  it('a reader that is slower than every deadline still gets all its bytes', async () => {
    await using lab = await openLab()
    const taken: Buffer[] = []
    const slow = {
      write: async (piece: Uint8Array) => {
        taken.push(Buffer.from(piece))
        if (taken.length <= 2) await sleep(2 * TIMEOUT_MS)
      },
    }
    await lab.store.read(lab.stored, { start: 0, end: bytes.length }, slow, steady())
    expect(Buffer.concat(taken).equals(bytes)).toBe(true)
  })

  it('readers that hold every connection: others are refused in time, and come through once one is free', async () => {
    await using lab = await openLab({ maxSockets: 2 })
    const stop = new AbortController()
    const whole = { start: 0, end: bytes.length }
    const holding = Array.from({ length: 2 }, async () => {
      const { promise: reached, resolve } = Promise.withResolvers<void>()
      const sink = { write: () => new Promise<void>(() => resolve()) }
      lab.store.read(lab.stored, whole, sink, stop.signal).catch(() => undefined)
      await reached
    })
    await Promise.all(holding)
    await expect(readBytes(lab.store, lab.stored, whole)).rejects.toMatchObject({ code: 'unavailable' })
    const waiting = readBytes(lab.store, lab.stored, whole)
    stop.abort(reason)
    expect((await waiting).equals(bytes)).toBe(true)
    await noConnectionIsHeld(lab)
  })

  it.each([
    ['gathered', 4 * PART],
    ['passed on', PART / 4],
  ])('a sender that is slower than every deadline still stores its part, %s', async (_, memoryBytes) => {
    await using lab = await openLab({ memoryBytes })
    const blob = newBlob()
    let pauses = 0
    const slow = async function* () {
      for await (const piece of piecesOf(part, PART / 4)) {
        yield piece
        pauses += 1
        if (pauses <= 2) await sleep(2 * TIMEOUT_MS)
      }
    }
    expect(await lab.store.putPart({ ...blob, index: 0, sizeBytes: PART }, slow(), steady())).toBe(PART)
    expect(await isWhole(blob, Buffer.from(part))).toBe(true)
  })
})
