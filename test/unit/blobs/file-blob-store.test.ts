import { mkdir, readdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { type FileBlobStore, openFileBlobStore } from '../../../src/server/blobs/file/blob-store.ts'
import { nodeFileSystem } from '../../../src/server/blobs/file/file-system.ts'
import { freshId, piecesOf, readBytes, steady, storeBlob } from '../../support/blob-bytes.ts'
import { type BeforeOperation, hookedFileSystem, kernelError } from '../../support/hooked-file-system.ts'
import { bytesFor } from '../../support/random.ts'
import { type TempDirectory, tempDirectory } from '../../support/temp-directory.ts'

const PART = 64 * 1024

describe('blobs as files', () => {
  let directory: TempDirectory
  const stores: FileBlobStore[] = []
  const open = async (options: { before?: BeforeOperation; openFiles?: number } = {}): Promise<FileBlobStore> => {
    const { before, ...rest } = options
    const fileSystem = before ? hookedFileSystem(nodeFileSystem, before) : nodeFileSystem
    const store = await openFileBlobStore({ directory: directory.path, fileSystem, ...rest })
    stores.push(store)
    return store
  }
  const put = (store: FileBlobStore, blobId: string, index: number, bytes: Uint8Array = bytesFor(`${index}`, PART)) =>
    store.putPart({ blobId, partBytes: PART, index, sizeBytes: bytes.length }, piecesOf(bytes), steady())
  const upload = (blobId: string) => join(directory.path, 'uploads', blobId.slice(0, 2), blobId)
  const media = (blobId: string) => join(directory.path, 'media', blobId.slice(0, 2), blobId)
  const openBlobFiles = () =>
    readdirSync('/proc/self/fd').flatMap(descriptor => {
      try {
        const path = readlinkSync(`/proc/self/fd/${descriptor}`)
        return path.startsWith(directory.path) ? [path] : []
      } catch {
        return []
      }
    })

  beforeEach(async () => {
    directory = await tempDirectory()
  })
  afterEach(async () => {
    for (const store of stores.splice(0)) await store[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  describe('when a sync fails', () => {
    it('never tries it again: the upload fails for good, others go on', async () => {
      const syncs: string[] = []
      let broken: string | null = null
      const store = await open({
        before: (operation, path) => {
          if (operation !== 'syncData') return
          syncs.push(path)
          if (broken !== null && path.endsWith(broken)) throw kernelError('EIO')
        },
      })
      const [bad, good] = [freshId(), freshId()]
      await put(store, bad, 0)
      broken = bad
      await expect(put(store, bad, 1)).rejects.toMatchObject({ code: 'unavailable' })
      broken = null
      const before = syncs.length
      await expect(put(store, bad, 1)).rejects.toMatchObject({ code: 'unavailable' })
      await expect(store.complete({ blobId: bad, partBytes: PART }, PART)).rejects.toMatchObject({
        code: 'unavailable',
      })
      expect(syncs).toHaveLength(before)
      await put(store, good, 0)
      await store.complete({ blobId: good, partBytes: PART }, PART)
      expect((await readBytes(store, { blobId: bad, partBytes: PART }, { start: 0, end: PART })).length).toBe(PART)
      await store.delete(bad)
    })

    it('says that the disk is full when the sync says so', async () => {
      const store = await open({
        before: operation => {
          if (operation === 'syncData') throw kernelError('ENOSPC')
        },
      })
      await expect(put(store, freshId(), 0)).rejects.toMatchObject({ code: 'storage_full' })
    })

    it.each(['sync', 'syncFolder'] as const)('does not complete a blob whose %s failed, ever', async failing => {
      let broken = false
      const store = await open({
        before: operation => {
          if (broken && operation === failing) throw kernelError('EIO')
        },
      })
      const blob = await storeBlob(store, bytesFor('makes the folders', 10), PART)
      const blobId = `${blob.blobId.slice(0, 2)}${freshId().slice(2)}`
      await put(store, blobId, 0)
      broken = true
      await expect(store.complete({ blobId, partBytes: PART }, PART)).rejects.toMatchObject({ code: 'unavailable' })
      broken = false
      await expect(store.complete({ blobId, partBytes: PART }, PART)).rejects.toMatchObject({ code: 'unavailable' })
    })
  })

  it('syncs once for all the parts that wait, not once for each', async () => {
    let syncs = 0
    const { promise: release, resolve } = Promise.withResolvers<void>()
    const store = await open({
      before: async operation => {
        if (operation !== 'syncData') return
        syncs += 1
        if (syncs === 1) await release
      },
    })
    const blobId = freshId()
    const parts = Array.from({ length: 20 }, (_, index) => put(store, blobId, index))
    await expect.poll(() => syncs).toBe(1)
    await expect.poll(async () => (await store.stat(blobId))?.sizeBytes).toBe(20 * PART)
    resolve()
    await Promise.all(parts)
    expect(syncs).toBeLessThanOrEqual(4)
  })

  describe('when the disk is full', () => {
    it('says so, keeps what is stored, and goes on when there is room again', async () => {
      const store = await open()
      const older = await storeBlob(store, bytesFor('older', PART), PART)
      const blobId = freshId()
      await mkdir(join(upload(blobId), '..'), { recursive: true })
      await symlink('/dev/full', upload(blobId))
      await expect(put(store, blobId, 0)).rejects.toMatchObject({ code: 'storage_full' })
      expect((await readBytes(store, older, { start: 0, end: PART })).equals(bytesFor('older', PART))).toBe(true)
      await rm(upload(blobId))
      await put(store, blobId, 0)
      await store.complete({ blobId, partBytes: PART }, PART)
    })

    it.each(['ENOSPC', 'EDQUOT', 'EFBIG'])('knows it by %s wherever it comes from', async cause => {
      const code = cause === 'EFBIG' ? 'too_large' : 'storage_full'
      for (const failing of ['open', 'write'] as const) {
        const store = await open({
          before: (operation, path) => {
            if (operation === failing && path.includes('/uploads/')) throw kernelError(cause)
          },
        })
        await expect(put(store, freshId(), 0)).rejects.toMatchObject({ code })
      }
    })

    it('stops pulling a part soon after its first write failed', async () => {
      const store = await open({
        before: operation => {
          if (operation === 'write') throw kernelError('ENOSPC')
        },
      })
      let pulled = 0
      const source = async function* () {
        for (; pulled < 64; pulled++) yield Buffer.alloc(2 ** 20)
      }
      const part = { blobId: freshId(), partBytes: 2 ** 26, index: 0, sizeBytes: 2 ** 26 }
      await expect(store.putPart(part, source(), steady())).rejects.toMatchObject({ code: 'storage_full' })
      expect(pulled).toBeLessThan(10)
    })
  })

  describe('when the directory cannot be written', () => {
    it('does not open', async () => {
      await expect(openFileBlobStore({ directory: '/proc/sealift' })).rejects.toMatchObject({ code: 'unavailable' })
      const file = join(directory.path, 'file')
      await writeFile(file, '')
      await expect(openFileBlobStore({ directory: file })).rejects.toMatchObject({ code: 'unavailable' })
    })

    it('refuses new bytes, proves nothing, and still serves the old ones; then goes on', async () => {
      const store = await open()
      const older = await storeBlob(store, bytesFor('older', PART), PART)
      await rename(join(directory.path, 'uploads'), join(directory.path, 'elsewhere'))
      await writeFile(join(directory.path, 'uploads'), 'in the way')
      await expect(put(store, freshId(), 0)).rejects.toMatchObject({ code: 'unavailable' })
      expect((await readBytes(store, older, { start: 0, end: PART })).length).toBe(PART)
      await rm(join(directory.path, 'uploads'))
      await rename(join(directory.path, 'elsewhere'), join(directory.path, 'uploads'))
      await put(store, freshId(), 0)
    })

    it('makes a folder again that was removed behind its back', async () => {
      const store = await open()
      const blobId = freshId()
      await put(store, blobId, 0)
      await store.delete(blobId)
      await rm(join(upload(blobId), '..'), { recursive: true })
      await expect(put(store, blobId, 0)).rejects.toMatchObject({ code: 'unavailable' })
      await put(store, blobId, 0)
    })

    it('fails its probe when nothing can be written', async () => {
      let broken = false
      const store = await open({
        before: operation => {
          if (broken && operation === 'write') throw kernelError('EROFS')
        },
      })
      await store.probe()
      broken = true
      await expect(store.probe()).rejects.toMatchObject({ code: 'unavailable' })
      expect(await readdir(directory.path)).toEqual(['media', 'uploads'])
    })
  })

  describe('open files', () => {
    it('keeps no more open than it may, and opens one that is read again only once', async () => {
      let opened = 0
      const store = await open({
        openFiles: 4,
        before: operation => {
          if (operation === 'open') opened += 1
        },
      })
      const blobs = await Promise.all(Array.from({ length: 10 }, () => storeBlob(store, bytesFor('x', 100), PART)))
      for (const blob of blobs) await readBytes(store, blob, { start: 0, end: 100 })
      await expect.poll(openBlobFiles).toHaveLength(4)
      const last = blobs.at(-1)
      if (!last) throw new Error('no blob')
      opened = 0
      await Promise.all(Array.from({ length: 50 }, () => readBytes(store, last, { start: 0, end: 100 })))
      expect(opened).toBe(0)
    })

    it('closes the file of a deleted blob, so that its room is free', async () => {
      const store = await open()
      const blob = await storeBlob(store, bytesFor('x', 100), PART)
      await readBytes(store, blob, { start: 0, end: 100 })
      expect(openBlobFiles()).toHaveLength(1)
      await store.delete(blob.blobId)
      await expect.poll(openBlobFiles).toEqual([])
    })

    it('closes what it can and tries again when there are too many', async () => {
      let refusals = 0
      const store = await open({
        before: (operation, path) => {
          if (operation !== 'open' || !path.includes('/media/') || refusals === 0) return
          refusals -= 1
          throw kernelError('EMFILE')
        },
      })
      const [first, second] = [
        await storeBlob(store, bytesFor('a', 100), PART),
        await storeBlob(store, bytesFor('b', 100), PART),
      ]
      await readBytes(store, first, { start: 0, end: 100 })
      refusals = 1
      expect(await readBytes(store, second, { start: 0, end: 100 })).toEqual(bytesFor('b', 100))
      refusals = 2
      await expect(readBytes(store, first, { start: 0, end: 100 })).rejects.toMatchObject({ code: 'unavailable' })
      expect(await readBytes(store, first, { start: 0, end: 100 })).toEqual(bytesFor('a', 100))
    })

    it('are all closed after a thousand aborted transfers', async () => {
      const store = await open({ openFiles: 8 })
      const blob = await storeBlob(store, bytesFor('read', 2 ** 20), PART)
      const abortedRead = async () => {
        const controller = new AbortController()
        const write = () => {
          controller.abort()
          return new Promise<void>(() => undefined)
        }
        await store.read(blob, { start: 0, end: 2 ** 20 }, { write }, controller.signal).catch(() => undefined)
      }
      const abortedPut = async (blobId: string) => {
        const controller = new AbortController()
        const source = async function* () {
          yield Buffer.alloc(1000)
          controller.abort()
          await new Promise(() => undefined)
        }
        const part = { blobId, partBytes: PART, index: 0, sizeBytes: PART }
        await store.putPart(part, source(), controller.signal).catch(() => undefined)
      }
      const ids = Array.from({ length: 20 }, freshId)
      for (let round = 0; round < 25; round++) {
        await Promise.all([...ids.map(abortedPut), ...ids.map(abortedRead)])
      }
      await store.delete(blob.blobId)
      await expect.poll(openBlobFiles).toEqual([])
    })
  })

  describe('what is on the disk', () => {
    it('moves a blob to its place only when it is complete', async () => {
      const store = await open()
      const blobId = freshId()
      await put(store, blobId, 0)
      expect(await readdir(join(upload(blobId), '..'))).toEqual([blobId])
      await store.complete({ blobId, partBytes: PART }, PART)
      expect(await readdir(join(upload(blobId), '..'))).toEqual([])
      expect(await readdir(join(media(blobId), '..'))).toEqual([blobId])
    })

    it('reports damage instead of serving less, when a file was cut or removed', async () => {
      const store = await open()
      const blob = await storeBlob(store, bytesFor('cut', 2 ** 20), PART)
      await truncate(media(blob.blobId), 2 ** 19)
      await expect(readBytes(store, blob, { start: 0, end: 2 ** 20 })).rejects.toMatchObject({ code: 'damaged' })
      expect(await store.stat(blob.blobId)).toMatchObject({ sizeBytes: 2 ** 19, complete: true })
      const again = await open()
      await rm(media(blob.blobId))
      await expect(readBytes(again, blob, { start: 0, end: 1 })).rejects.toMatchObject({ code: 'damaged' })
      expect(await again.stat(blob.blobId)).toBeNull()
    })

    it('finishes after a restart what was cut short between renaming and telling', async () => {
      const store = await open()
      const blobId = freshId()
      await put(store, blobId, 0)
      await store.complete({ blobId, partBytes: PART }, PART)
      const again = await open()
      await again.complete({ blobId, partBytes: PART }, PART)
      await expect(again.complete({ blobId, partBytes: PART }, PART + 1)).rejects.toMatchObject({ code: 'damaged' })
    })

    it('goes on with an upload after a restart', async () => {
      const blobId = freshId()
      await put(await open(), blobId, 1)
      const again = await open()
      await put(again, blobId, 0)
      await again.complete({ blobId, partBytes: PART }, 2 * PART)
      const read = await readBytes(again, { blobId, partBytes: PART }, { start: 0, end: 2 * PART })
      expect(read.equals(Buffer.concat([bytesFor('0', PART), bytesFor('1', PART)]))).toBe(true)
    })

    it('leaves alone what is not its own, and removes probes that a crash left', async () => {
      await writeFile(join(directory.path, '.probe-old'), 'x')
      await writeFile(join(directory.path, 'README'), 'x')
      const store = await open()
      await mkdir(join(directory.path, 'media', 'lost+found'))
      await writeFile(join(directory.path, 'media', 'stray'), 'x')
      await mkdir(join(directory.path, 'media', 'ab'))
      await writeFile(join(directory.path, 'media', 'ab', 'not-an-id'), 'x')
      const found: unknown[] = []
      for await (const blob of store.list(steady())) found.push(blob)
      expect(found).toEqual([])
      expect((await readdir(directory.path)).sort()).toEqual(['README', 'media', 'uploads'])
    })

    it.each(['../../etc/passwd', '..', '', 'A'.repeat(26), `${'a'.repeat(25)}/`, 'a'.repeat(27)])(
      'makes no path of %j',
      async blobId => {
        const store = await open()
        await expect(put(store, blobId, 0)).rejects.toMatchObject({ code: 'internal' })
        await expect(store.delete(blobId)).rejects.toMatchObject({ code: 'internal' })
        await expect(readBytes(store, { blobId, partBytes: PART }, { start: 0, end: 1 })).rejects.toMatchObject({
          code: 'internal',
        })
      },
    )
  })

  it('knows how much room the disk has', async () => {
    const { freeBytes, totalBytes } = await (await open()).freeSpace()
    expect(freeBytes).toBeGreaterThan(0)
    expect(totalBytes).toBeGreaterThanOrEqual(freeBytes)
  })

  it('lets nothing in flight go on once it is disposed', async () => {
    const store = await open()
    const { promise: pulled, resolve } = Promise.withResolvers<void>()
    const source = async function* () {
      yield Buffer.alloc(10)
      resolve()
      await new Promise(() => undefined)
    }
    const part = store.putPart({ blobId: freshId(), partBytes: PART, index: 0, sizeBytes: 20 }, source(), steady())
    part.catch(() => undefined)
    await pulled
    await store[Symbol.asyncDispose]()
    await expect(part).rejects.toMatchObject({ code: 'shutting_down' })
    expect(openBlobFiles()).toEqual([])
  })
})
