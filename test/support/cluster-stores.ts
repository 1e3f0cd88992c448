/**
 * Stores that several servers share: a bucket prefix, a database and a key prefix of their own, on the shared
 * engines.
 */
import { randomBytes } from 'node:crypto'

import type { RawMap } from '../../src/server/index.ts'
import { cephEngine } from './engines/ceph.ts'
import { createDatabase, postgresEngine } from './engines/postgres.ts'
import { sharedEngine } from './engines/shared.ts'
import { valkeyEngine } from './engines/valkey.ts'
import { makeBucket } from './s3-bucket.ts'

/** True when the suites run on S3, PostgreSQL and Valkey, with two nodes, instead of on files and SQLite. */
export const onCluster = process.env['SEALIFT_TEST_STORES'] === 'cluster'

let bucket: ReturnType<typeof makeBucket> | null = null

const known = new Map<string, Promise<RawMap>>()

/**
 * Configuration of nodes that share their stores. The same data folder gets the same stores again: nodes that are
 * started anew find what they left. All are dropped with the engines.
 */
export function clusterStores(dataDirectory: string): Promise<RawMap> {
  const stores = known.get(dataDirectory) ?? makeStores()
  known.set(dataDirectory, stores)
  return stores
}

async function makeStores(): Promise<RawMap> {
  const name = randomBytes(8).toString('hex')
  bucket ??= sharedEngine(cephEngine).then(makeBucket)
  const { endpoint, region, bucket: bucketName, accessKeyId, secretAccessKey } = await bucket
  const { url } = await createDatabase(await sharedEngine(postgresEngine))
  const { url: valkeyUrl } = await sharedEngine(valkeyEngine)
  return {
    storage: {
      kind: 's3',
      s3: { endpoint, region, bucket: bucketName, accessKeyId, secretAccessKey, prefix: `${name}/`, memory: '64MiB' },
    },
    records: { kind: 'postgres', postgres: { url, poolSize: 8 } },
    limits: { shared: 'valkey', valkey: { url: valkeyUrl, prefix: `${name}:`, leaseTtl: '3s', commandTimeout: '1s' } },
  }
}
