/** What every blob store must do: the port's comment, as tests. Each adapter's test file runs it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { BlobAddress, BlobStore, StoredBlob } from '../../src/server/blobs/blob-store.ts'
import { CollectingSink, freshId, piecesOf, readBytes, steady, storeBlob, storeParts } from '../support/blob-bytes.ts'
import { bytesFor } from '../support/random.ts'

const PART = 256 * 1024

/** `open` gives a store with nothing in it; the suite disposes it. */
export function blobStoreContract(name: string, open: () => Promise<BlobStore>): void {
  describe(`${name}: the contract of a blob store`, () => {
    let store: BlobStore
    const newBlob = (): BlobAddress => ({ blobId: freshId(), partBytes: PART })
    const put = (blob: BlobAddress, index: number, bytes: Uint8Array, sizeBytes: number | null = bytes.length) =>
      store.putPart({ ...blob, index, sizeBytes }, piecesOf(bytes), steady())
    const listed = async (blobId: string): Promise<StoredBlob[]> => {
      const found: StoredBlob[] = []
      for await (const blob of store.list(steady())) if (blob.blobId === blobId) found.push(blob)
      return found
    }

    beforeAll(async () => {
      store = await open()
    })
    afterAll(async () => {
      await store[Symbol.asyncDispose]()
    })

    describe('storing parts', () => {
      it('takes parts in any order and in parallel, and gives every range of them back', async () => {
        const bytes = bytesFor('any order', 4 * PART + 1234)
        const blob = newBlob()
        const parts = [3, 0, 4, 2, 1].map(index => put(blob, index, bytes.subarray(index * PART, (index + 1) * PART)))
        expect(await Promise.all(parts)).toEqual([PART, PART, 1234, PART, PART])
        await store.complete(blob, bytes.length)
        const ranges = [
          [0, bytes.length],
          [0, 1],
          [bytes.length - 1, bytes.length],
          [PART - 1, PART + 1],
          [PART, 2 * PART],
          [PART + 7, 3 * PART + 9],
          [17, 17],
        ] as const
        for (const [start, end] of ranges) {
          const read = await readBytes(store, blob, { start, end })
          expect(read.equals(bytes.subarray(start, end)), `${start}-${end}`).toBe(true)
        }
      })

      it('makes a part readable as soon as it is stored, before the blob is complete', async () => {
        const blob = newBlob()
        const bytes = bytesFor('early', PART)
        await put(blob, 0, bytes)
        expect(await readBytes(store, blob, { start: 5, end: PART })).toEqual(bytes.subarray(5))
      })

      it('goes on reading the same bytes while the blob is completed', async () => {
        const bytes = bytesFor('while completing', 2 * PART)
        const blob = newBlob()
        await storeParts(store, blob, bytes)
        await readBytes(store, blob, { start: 0, end: 10 })
        const reads = Array.from({ length: 10 }, () => readBytes(store, blob, { start: 0, end: bytes.length }))
        await store.complete(blob, bytes.length)
        for (const read of await Promise.all(reads)) expect(read.equals(bytes)).toBe(true)
        expect((await readBytes(store, blob, { start: 0, end: bytes.length })).equals(bytes)).toBe(true)
      })

      it('replaces a part that is sent again', async () => {
        const blob = newBlob()
        await put(blob, 0, bytesFor('first', PART))
        const second = bytesFor('second', PART)
        await put(blob, 0, second)
        expect((await readBytes(store, blob, { start: 0, end: PART })).equals(second)).toBe(true)
      })

      it.each([1, 7, 4096, PART])('takes pieces of %i bytes', async pieceBytes => {
        const blob = newBlob()
        const bytes = bytesFor('pieces', 10_000)
        await store.putPart({ ...blob, index: 0, sizeBytes: 10_000 }, piecesOf(bytes, pieceBytes), steady())
        expect(await readBytes(store, blob, { start: 0, end: 10_000 })).toEqual(bytes)
      })

      it('takes a part of unknown length, up to a full one', async () => {
        const blob = newBlob()
        expect(await put(blob, 0, bytesFor('full', PART), null)).toBe(PART)
        expect(await put(blob, 1, bytesFor('short', 77), null)).toBe(77)
        await store.complete(blob, PART + 77)
        expect(await readBytes(store, blob, { start: PART, end: PART + 77 })).toEqual(bytesFor('short', 77))
      })

      it.each([
        ['one byte too few', PART - 1, PART],
        ['one byte too many', PART + 1, PART],
        ['nothing', 0, 10],
        ['nothing, of unknown length', 0, null],
        ['more than a part, of unknown length', PART + 1, null],
      ])('refuses a part with %s', async (_, sentBytes, sizeBytes) => {
        const blob = newBlob()
        await expect(put(blob, 0, bytesFor('wrong', sentBytes), sizeBytes)).rejects.toMatchObject({
          code: 'size_mismatch',
        })
      })

      it('stops pulling as soon as more arrives than was announced', async () => {
        let pulled = 0
        const endless = async function* () {
          for (;;) yield Buffer.alloc(1 + (pulled += 1) * 0 + 65_535)
        }
        await expect(
          store.putPart({ ...newBlob(), index: 0, sizeBytes: PART }, endless(), steady()),
        ).rejects.toMatchObject({ code: 'size_mismatch' })
        expect(pulled).toBeLessThanOrEqual(PART / 65_536 + 1)
      })

      it('leaves other parts whole when one fails, and takes the failed one again', async () => {
        const blob = newBlob()
        const bytes = bytesFor('neighbours', 3 * PART)
        const failing = async function* () {
          yield bytes.subarray(PART, PART + 1000)
          throw new Error('the connection broke')
        }
        const [, failed] = await Promise.allSettled([
          put(blob, 0, bytes.subarray(0, PART)),
          store.putPart({ ...blob, index: 1, sizeBytes: PART }, failing(), steady()),
          put(blob, 2, bytes.subarray(2 * PART)),
        ])
        expect(failed).toMatchObject({ status: 'rejected', reason: { message: 'the connection broke' } })
        await put(blob, 1, bytes.subarray(PART, 2 * PART))
        await store.complete(blob, bytes.length)
        expect((await readBytes(store, blob, { start: 0, end: bytes.length })).equals(bytes)).toBe(true)
      })

      it('gives up with the reason of the signal, even when the source hangs', async () => {
        const controller = new AbortController()
        const { promise: pulled, resolve } = Promise.withResolvers<void>()
        const hanging = async function* () {
          yield Buffer.alloc(100)
          resolve()
          await new Promise(() => undefined)
        }
        const reason = new Error('enough')
        const stored = store.putPart({ ...newBlob(), index: 0, sizeBytes: PART }, hanging(), controller.signal)
        await pulled
        controller.abort(reason)
        await expect(stored).rejects.toBe(reason)
      })

      it('does not begin when the signal has aborted', async () => {
        const reason = new Error('too late')
        const stored = store.putPart(
          { ...newBlob(), index: 0, sizeBytes: 1 },
          piecesOf(Buffer.alloc(1)),
          AbortSignal.abort(reason),
        )
        await expect(stored).rejects.toBe(reason)
      })
    })

    describe('completing', () => {
      it('is the same when repeated, one after the other or at once', async () => {
        const bytes = bytesFor('repeat', PART + 1)
        const blob = newBlob()
        await storeParts(store, blob, bytes)
        await Promise.all([1, 2, 3].map(() => store.complete(blob, bytes.length)))
        await store.complete(blob, bytes.length)
        expect((await readBytes(store, blob, { start: 0, end: bytes.length })).equals(bytes)).toBe(true)
      })

      it('says that a blob with too few bytes, or with none, is damaged', async () => {
        const blob = newBlob()
        await put(blob, 0, bytesFor('short', 100))
        await expect(store.complete(blob, 101)).rejects.toMatchObject({ code: 'damaged' })
        await expect(store.complete(newBlob(), 1)).rejects.toMatchObject({ code: 'damaged' })
        await store.complete(blob, 100)
      })

      it('forgets what a failed part left past the end', async () => {
        const blob = newBlob()
        await put(blob, 0, bytesFor('kept', PART))
        await put(blob, 1, bytesFor('too many', 500))
        await store.complete(blob, PART)
        expect((await listed(blob.blobId)).map(each => each.sizeBytes)).toEqual([PART])
      })

      it('aborts the parts in flight and refuses nothing else', async () => {
        const blob = newBlob()
        await put(blob, 0, bytesFor('there', PART))
        const { promise: pulled, resolve } = Promise.withResolvers<void>()
        const hanging = async function* () {
          resolve()
          await new Promise(() => undefined)
          yield Buffer.alloc(1)
        }
        const late = store.putPart({ ...blob, index: 1, sizeBytes: 1 }, hanging(), steady())
        late.catch(() => undefined)
        await pulled
        await store.complete(blob, PART)
        await expect(late).rejects.toMatchObject({ code: 'upload_complete' })
      })
    })

    describe('reading', () => {
      it('keeps at most two writes outstanding, and the memory of each untouched until it is done', async () => {
        const bytes = bytesFor('slow sink', 3 * 2 ** 20)
        const blob = await storeBlob(store, bytes)
        const sink = new CollectingSink()
        await store.read(blob, { start: 1, end: bytes.length - 1 }, sink, steady())
        expect(sink.bytes.equals(bytes.subarray(1, -1))).toBe(true)
        expect(sink.mostOutstanding).toBeLessThanOrEqual(2)
      })

      it('serves a sink that takes bytes at once', async () => {
        const bytes = bytesFor('quick sink', 2 ** 20)
        const blob = await storeBlob(store, bytes)
        const taken: Buffer[] = []
        const write = (piece: Uint8Array) => void taken.push(Buffer.from(piece))
        await store.read(blob, { start: 0, end: bytes.length }, { write }, steady())
        expect(Buffer.concat(taken).equals(bytes)).toBe(true)
      })

      it('serves many readers of the same and of other blobs at once', async () => {
        const all = await Promise.all(
          Array.from({ length: 8 }, async (_, index) => {
            const bytes = bytesFor(`reader ${index}`, 500_000 + index)
            return { bytes, blob: await storeBlob(store, bytes) }
          }),
        )
        const reads = Array.from({ length: 100 }, async (_, index) => {
          const chosen = all[index % all.length]
          if (!chosen) throw new Error('no such blob')
          const start = (index * 4999) % 400_000
          const read = await readBytes(store, chosen.blob, { start, end: chosen.bytes.length })
          return read.equals(chosen.bytes.subarray(start))
        })
        expect((await Promise.all(reads)).every(Boolean)).toBe(true)
      })

      it('passes on what the sink fails with, and serves the next reader right', async () => {
        const bytes = bytesFor('failing sink', 2 ** 20)
        const blob = await storeBlob(store, bytes)
        const gone = new Error('the reader went away')
        const failing = { write: () => Promise.reject(gone) }
        await expect(store.read(blob, { start: 0, end: bytes.length }, failing, steady())).rejects.toBe(gone)
        expect((await readBytes(store, blob, { start: 0, end: bytes.length })).equals(bytes)).toBe(true)
      })

      it('gives up with the reason of the signal, even when the sink hangs', async () => {
        const blob = await storeBlob(store, bytesFor('hanging sink', 2 ** 20))
        const controller = new AbortController()
        const reason = new Error('enough')
        const { promise: reached, resolve } = Promise.withResolvers<void>()
        const hanging = {
          write: () => {
            resolve()
            return new Promise<void>(() => undefined)
          },
        }
        const read = store.read(blob, { start: 0, end: 2 ** 20 }, hanging, controller.signal)
        await reached
        controller.abort(reason)
        await expect(read).rejects.toBe(reason)
      })

      it('never ends early without an error: bytes that are not there are damage', async () => {
        const blob = await storeBlob(store, bytesFor('too short', 1000))
        await expect(readBytes(store, blob, { start: 0, end: 1001 })).rejects.toMatchObject({ code: 'damaged' })
        await expect(readBytes(store, blob, { start: 5000, end: 5001 })).rejects.toMatchObject({ code: 'damaged' })
        await expect(readBytes(store, newBlob(), { start: 0, end: 1 })).rejects.toMatchObject({ code: 'damaged' })
      })
    })

    describe('deleting', () => {
      it('is the same when repeated, and no error for a blob that never was', async () => {
        const complete = await storeBlob(store, bytesFor('complete', 1000))
        const unfinished = newBlob()
        await put(unfinished, 0, bytesFor('unfinished', 1000))
        for (const blob of [complete, unfinished, newBlob()]) {
          await store.delete(blob.blobId)
          await store.delete(blob.blobId)
          await expect(readBytes(store, blob, { start: 0, end: 1 })).rejects.toMatchObject({ code: 'damaged' })
          expect(await listed(blob.blobId)).toEqual([])
        }
      })

      it('gives a reader that began before either all its bytes or an error', async () => {
        const bytes = bytesFor('deleted while read', 2 ** 20)
        const blob = await storeBlob(store, bytes)
        const reads = Array.from({ length: 100 }, async () => {
          try {
            return (await readBytes(store, blob, { start: 0, end: bytes.length })).equals(bytes)
          } catch {
            return 'error'
          }
        })
        await store.delete(blob.blobId)
        expect(await Promise.all(reads)).not.toContain(false)
      })

      it('aborts a part in flight', async () => {
        const blob = newBlob()
        const { promise: pulled, resolve } = Promise.withResolvers<void>()
        const hanging = async function* () {
          yield Buffer.alloc(10)
          resolve()
          await new Promise(() => undefined)
        }
        const part = store.putPart({ ...blob, index: 0, sizeBytes: PART }, hanging(), steady())
        part.catch(() => undefined)
        await pulled
        await store.delete(blob.blobId)
        await expect(part).rejects.toMatchObject({ code: 'gone' })
        expect(await listed(blob.blobId)).toEqual([])
      })
    })

    it('lists every blob with its size and, if it can tell, whether it is complete', async () => {
      const complete = await storeBlob(store, bytesFor('listed', PART + 3))
      const unfinished = newBlob()
      await put(unfinished, 0, bytesFor('unfinished', PART))
      const before = Date.now() + 60_000
      expect(await listed(complete.blobId)).toMatchObject([{ sizeBytes: PART + 3 }])
      expect(await listed(unfinished.blobId)).toMatchObject([{ sizeBytes: PART }])
      const [facts] = await listed(complete.blobId)
      const [others] = await listed(unfinished.blobId)
      expect([
        [true, false],
        [null, null],
      ]).toContainEqual([facts?.complete, others?.complete])
      expect(facts?.modifiedAt).toBeGreaterThan(before - 600_000)
      expect(facts?.modifiedAt).toBeLessThan(before)
    })

    it('proves that it works, and leaves nothing behind by it', async () => {
      const count = async () => {
        let blobs = 0
        for await (const _ of store.list(steady())) blobs += 1
        return blobs
      }
      const before = await count()
      await Promise.all([store.probe(), store.probe()])
      expect(await count()).toBe(before)
    })
  })
}
