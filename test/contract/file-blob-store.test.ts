import { openFileBlobStore } from '../../src/server/blobs/file/blob-store.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import { blobStoreContract } from './blob-store-contract.ts'

blobStoreContract('files', async () => {
  const directory = await tempDirectory()
  const store = await openFileBlobStore({ directory: directory.path })
  return withCleanUp(store, directory)
})

blobStoreContract('files, with next to no memory and open files', async () => {
  const directory = await tempDirectory()
  const store = await openFileBlobStore({ directory: directory.path, openFiles: 1, readMemoryBytes: 0 })
  return withCleanUp(store, directory)
})

function withCleanUp<T extends AsyncDisposable>(store: T, directory: AsyncDisposable): T {
  const dispose = store[Symbol.asyncDispose].bind(store)
  store[Symbol.asyncDispose] = async () => {
    await dispose()
    await directory[Symbol.asyncDispose]()
  }
  return store
}
