import { openS3BlobStore } from '../../src/server/blobs/s3/blob-store.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { makeBucket } from '../support/s3-bucket.ts'
import { blobStoreContract } from './blob-store-contract.ts'

blobStoreContract('S3', async () => openS3BlobStore(await makeBucket(await sharedEngine(cephEngine))))

blobStoreContract('S3, with next to no memory and few connections', async () => {
  const bucket = await makeBucket(await sharedEngine(cephEngine))
  return openS3BlobStore({ ...bucket, memoryBytes: 64 * 1024, maxSockets: 4 })
})
