/**
 * Records that are older than the bucket, as after the restore of a backup: what fsck finds, and what --repair does.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { copyFile, rename } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { createApi } from '../support/api.ts'
import { cephEngine } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { bytesFor } from '../support/random.ts'
import { runCli } from '../support/running-cli.ts'
import { makeBucket, objectsIn, s3Settings } from '../support/s3-bucket.ts'
import { startServerProcess } from '../support/server-process.ts'
import type { S3Connection } from '../../src/server/blobs/s3/s3-client.ts'

const OWNER = 'a-secret-of-the-owner-of-it'
const directory = mkdtempSync(join(tmpdir(), 'sealift-s3-restore-'))
const records = join(directory, 'data', 'records.sqlite')
let bucket: S3Connection
let config: Record<string, unknown>

beforeAll(async () => {
  const ceph = await sharedEngine(cephEngine)
  bucket = await makeBucket(ceph)
  config = {
    storage: { kind: 's3', s3: s3Settings(bucket) },
    // Nothing is swept by itself but what is deleted; objects are old at once for fsck.
    upkeep: { sweepEvery: '300ms', orphanGrace: '1h' },
  }
})

afterAll(() => rmSync(directory, { recursive: true, force: true }))

const serve = () => startServerProcess({ directory, config })

async function fsck(...args: string[]) {
  const env = { SEALIFT_UPKEEP_ORPHAN_GRACE: '0s' }
  const { code, stdout, stderr } = await runCli(['fsck', '--config', join(directory, 'config.yaml'), ...args], { env })
  return { code, said: stdout.toString() + stderr }
}

it('lists what no record knows, and ends what has no bytes, so that readers are told 410', async () => {
  const media: { mediaId: string; bytes: Buffer }[] = []
  {
    await using server = await serve()
    const api = createApi(server.url, { owner: OWNER })
    for (let index = 0; index < 4; index += 1) {
      const bytes = bytesFor(`media ${index}`, 1000 + index)
      media.push({ mediaId: (await api.store(bytes)).mediaId, bytes })
    }
    await server.stop()
  }
  await copyFile(records, join(directory, 'backup.sqlite'))
  const [deleted, ...kept] = media
  if (!deleted) throw new Error('nothing was stored')
  {
    await using server = await serve()
    const api = createApi(server.url, { owner: OWNER })
    expect((await api.call('endLease', { mediaId: deleted.mediaId })).status).toBe(204)
    await api.store(bytesFor('after the backup', 500))
    await expect.poll(async () => (await objectsIn(bucket)).length, { timeout: 20_000 }).toBe(4)
    await server.stop()
  }
  await rename(join(directory, 'backup.sqlite'), records)

  const looked = await fsck()
  expect(looked.code, looked.said).toBe(1)
  expect(looked.said).toMatch(/^missing .*nothing stored, 1000 B expected; bytes are gone/m)
  expect(looked.said).toMatch(/^orphan .*500 B stored; no record knows it$/m)
  expect(await objectsIn(bucket)).toHaveLength(4)

  const repaired = await fsck('--repair')
  expect(repaired.code, repaired.said).toBe(0)
  expect(repaired.said).toContain('All is well now')
  expect(await objectsIn(bucket)).toHaveLength(3)
  expect((await fsck()).code).toBe(0)

  await using server = await serve()
  const api = createApi(server.url, { owner: OWNER })
  expect((await api.read(deleted.mediaId)).status).toBe(410)
  for (const { mediaId, bytes } of kept) expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
}, 120_000)

it('keeps what no record knows while it is young', async () => {
  await copyFile(records, join(directory, 'backup.sqlite'))
  const server = await serve()
  await createApi(server.url).store(bytesFor('young', 700))
  await server.stop()
  await rename(join(directory, 'backup.sqlite'), records)
  const before = await objectsIn(bucket)
  const { code, stdout } = await runCli(['fsck', '--repair', '--config', join(directory, 'config.yaml')])
  expect(code, stdout.toString()).toBe(0)
  expect(await objectsIn(bucket)).toEqual(before)
  expect(stdout.toString()).toContain('1 in the store that no record knows: younger than upkeep.orphanGrace, so kept')
})

it('names the setting when the bucket cannot be looked at', async () => {
  const env = { SEALIFT_STORAGE_S3_BUCKET: 'no-such-bucket' }
  const { code, stderr } = await runCli(['fsck', '--config', join(directory, 'config.yaml')], { env })
  expect(code).toBe(1)
  expect(stderr).toMatch(/(^|\n)sealift: storage\.s3\.bucket: /)
})
