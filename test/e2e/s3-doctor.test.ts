/** What doctor says of an S3 service, and what it sets right. */
import { GetBucketCorsCommand, PutBucketCorsCommand } from '@aws-sdk/client-s3'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, expect, it } from 'vitest'

import { createS3Client, type S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
import { diagnose } from '../support/doctor.ts'
import { cephEngine, type CephFacts } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { makeBucket, objectsIn, s3Settings } from '../support/s3-bucket.ts'
import { startS3FaultProxy } from '../support/s3-fault-proxy.ts'

const home = mkdtempSync(join(tmpdir(), 'sealift-s3-doctor-'))
const ORIGIN = 'https://app.example'
let ceph: CephFacts
let bucket: S3Connection

beforeAll(async () => {
  ceph = await sharedEngine(cephEngine)
  bucket = await makeBucket(ceph)
})

afterAll(() => rmSync(home, { recursive: true, force: true }))

const storage = (s3: object = {}, more: object = {}) => {
  return {
    storage: {
      kind: 's3',
      ...more,
      s3: { ...s3Settings(bucket), ...s3 },
    },
  }
}

it('tells of each thing that a service can do, one line each, and leaves nothing there', async () => {
  const { ok, checks, said } = await diagnose(home, storage())
  expect(ok, said).toBe(true)
  for (const each of [
    'endpoint',
    'clock',
    'list',
    'path-style',
    'write',
    'read',
    'ranges',
    'delete',
    'conditional-writes',
    'cors',
  ]) {
    expect(checks, each).toHaveProperty([`s3 ${each}`], expect.stringMatching(/^ok: /))
  }
  expect(checks).toHaveProperty(['s3 content-md5'])
  expect(checks).toHaveProperty(['s3 presigned-upload'])
  expect(checks['workers']).toMatch(/^ok: 1 serving process/)
  expect(checks['records']).toMatch(/^ok: /)
  expect(checks).not.toHaveProperty('storage')
  expect(said).not.toContain(ceph.secretAccessKey)
  expect(await objectsIn(bucket)).toEqual([])
})

it('names the setting that is wrong', async () => {
  const { ok, checks, said } = await diagnose(home, storage({ secretAccessKey: 'quite-another-secret' }))
  expect(ok).toBe(false)
  expect(checks['s3 credentials']).toMatch(/^fail: storage\.s3\.secretAccessKey: /)
  expect(said).not.toContain('quite-another-secret')
})

it('says so when ranges are not supported', async () => {
  await using proxy = await startS3FaultProxy(ceph.endpoint)
  proxy.faults = (call, nth) => (call === 'GET' && nth > 1 ? { how: 'short-response', bytes: 3 } : null)
  const { ok, checks } = await diagnose(home, storage({ endpoint: proxy.url }))
  expect(ok).toBe(false)
  expect(checks['s3 ranges']).toMatch(/^fail: storage\.s3\.endpoint: /)
})

it('adds the rule for web pages when it is asked to, beside those that are there', async () => {
  const config = { ...storage({}, { transfer: 'direct' }), cors: { origins: [ORIGIN] } }
  const other = { ID: 'other', AllowedOrigins: ['https://other.example'], AllowedMethods: ['GET'] }
  const client = createS3Client(bucket)
  const CORSConfiguration = { CORSRules: [other] }
  await client.send(new PutBucketCorsCommand({ Bucket: bucket.bucket, CORSConfiguration }))
  const before = await diagnose(home, config)
  expect(before.ok, before.said).toBe(true)
  expect(before.checks['s3 cors']).toMatch(/^warn: .*https:\/\/app\.example.*--fix/)
  for (let round = 0; round < 2; round += 1) {
    const { checks } = await diagnose(home, config, { fix: true })
    expect(checks['s3 cors']).toMatch(round === 0 ? /^ok: Fixed/ : /^ok: Web pages/)
  }
  const { CORSRules } = await client.send(new GetBucketCorsCommand({ Bucket: bucket.bucket }))
  client.destroy()
  expect(CORSRules?.map(({ ID }) => ID)).toEqual(['other', 'sealift'])
})
