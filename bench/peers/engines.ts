/** The services that Sealift leans on in a cluster, as the tests start them: on loopback, in a folder of their own. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { CreateBucketCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'

import type { CephFacts } from '../../test/support/engines/ceph.ts'
import type { ValkeyFacts } from '../../test/support/engines/valkey.ts'
import type { BenchContext } from '../context.ts'
import { startService } from '../processes.ts'
import { findTool, missingTools } from '../tools.ts'

interface RunningEngine<Facts> extends AsyncDisposable {
  /** With its children, all that the engine runs. */
  readonly pid: number
  readonly facts: Facts
}

export interface S3Place extends Pick<CephFacts, 'endpoint' | 'region' | 'accessKeyId' | 'secretAccessKey'> {
  readonly bucket: string
}

export interface S3Service extends AsyncDisposable {
  readonly pid: number
  readonly place: S3Place
  /** Resolves when no object is left whose name begins so. */
  emptied(prefix: string): Promise<void>
}

export const missingS3 = (): Promise<string | null> =>
  missingTools('radosgw', 'radosgw-admin', 'ceph-mon', 'ceph-mgr', 'ceph-osd', 'setpriv')

/** Ceph's S3 gateway over a store in memory, with one bucket. */
export async function startS3(context: BenchContext): Promise<S3Service> {
  const { facts, ...engine } = await startEngine<CephFacts>('ceph', context)
  const { endpoint, region, accessKeyId, secretAccessKey } = facts
  const bucket = `bench-${randomBytes(4).toString('hex')}`
  const client = createBareClient(facts)
  await client.send(new CreateBucketCommand({ Bucket: bucket }))
  return {
    ...engine,
    place: { endpoint, region, accessKeyId, secretAccessKey, bucket },
    async emptied(prefix) {
      for (;;) {
        const { KeyCount } = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 }))
        if (KeyCount === 0) return
        await sleep(50)
      }
    },
    async [Symbol.asyncDispose]() {
      client.destroy()
      await engine[Symbol.asyncDispose]()
    },
  }
}

/** The SDK as its documentation shows it. */
export function createBareClient(place: Omit<S3Place, 'bucket'>): S3Client {
  const { endpoint, region, accessKeyId, secretAccessKey } = place
  return new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } })
}

export async function missingValkey(): Promise<string | null> {
  if ((await findTool('valkey-server')) === null && (await findTool('redis-server')) === null) {
    return 'neither valkey-server nor redis-server installed'
  }
  return missingTools('setpriv')
}

export function startValkey(context: BenchContext): Promise<RunningEngine<ValkeyFacts>> {
  return startEngine<ValkeyFacts>('valkey', context)
}

async function startEngine<Facts>(name: string, context: BenchContext): Promise<RunningEngine<Facts>> {
  const service = await startService(
    {
      command: process.execPath,
      args: [join(import.meta.dirname, 'engine-server.ts'), name],
      // What it writes goes with everything else.
      env: { TMPDIR: await context.workspace.folder(name) },
    },
    started => started.line(/^facts (.*)$/),
  )
  return { ...service, facts: JSON.parse(service.found[1] ?? '') as Facts }
}
