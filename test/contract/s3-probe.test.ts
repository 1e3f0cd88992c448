import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { PutBucketCorsCommand } from '@aws-sdk/client-s3'
import { beforeAll, describe, expect, it } from 'vitest'

import { allowWebPages } from '../../src/server/blobs/s3/bucket-cors.ts'
import type { S3Finding } from '../../src/server/blobs/s3/probe-findings.ts'
import type { S3ProbeOptions } from '../../src/server/blobs/s3/probe-findings.ts'
import { probeS3 } from '../../src/server/blobs/s3/probe-s3.ts'
import { createS3Client, type S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
import { steady } from '../support/blob-bytes.ts'
import { cephAdmin, cephEngine, type CephFacts } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { makeBucket, objectsIn } from '../support/s3-bucket.ts'

const ORIGIN = 'https://app.example.org'
let ceph: CephFacts
let bucket: S3Connection

beforeAll(async () => {
  ceph = await sharedEngine(cephEngine)
  bucket = await makeBucket(ceph)
})

const probe = (change: Partial<S3ProbeOptions> = {}) =>
  probeS3({ ...bucket, direct: true, requestTimeoutMs: 3000, connectTimeoutMs: 1000, ...change }, steady())
const problems = (findings: readonly S3Finding[]) => findings.filter(({ level }) => level === 'problem')
const messageOf = (findings: readonly S3Finding[], check: string) =>
  findings.find(each => each.check === check)?.message
const levelOf = (findings: readonly S3Finding[], check: string) => findings.find(each => each.check === check)?.level

describe('a service that is set up right', () => {
  it('has no problem, and nothing of the probe stays behind', async () => {
    const findings = await probe()
    expect(problems(findings)).toEqual([])
    for (const check of ['write', 'read', 'ranges', 'list', 'delete', 'clock', 'presigned-upload', 'content-md5']) {
      expect(levelOf(findings, check), check).toBe('ok')
    }
    expect(await objectsIn(bucket)).toEqual([])
  })

  it('reports which web pages may not use the bucket, until they may', async () => {
    const before = await probe({ corsOrigins: [ORIGIN] })
    expect(levelOf(before, 'cors')).toBe('problem')
    expect(levelOf(await probe({ corsOrigins: [ORIGIN], direct: false }), 'cors')).toBe('note')
    await allow(['PUT'], ['*'])
    expect(messageOf(await probe({ corsOrigins: [ORIGIN] }), 'cors')).toContain(`${ORIGIN} read: add them`)
    await allow(['GET', 'PUT'], ['content-md5', 'range'])
    expect(messageOf(await probe({ corsOrigins: [ORIGIN] }), 'cors')).toContain(`${ORIGIN} store: add them`)
    const { AllowedMethods, AllowedHeaders } = await documentedRule()
    await allow(AllowedMethods, AllowedHeaders)
    expect(levelOf(await probe({ corsOrigins: [ORIGIN] }), 'cors')).toBe('ok')
    await allow(['PUT'], ['*'])
    await allowWebPages(bucket, [ORIGIN], steady())
    expect(levelOf(await probe({ corsOrigins: [ORIGIN] }), 'cors')).toBe('ok')
  })
})

/** What the operator is to set by hand. */
async function documentedRule(): Promise<{ AllowedMethods: string[]; AllowedHeaders: string[] }> {
  const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const [, json = ''] = /```json\n(\{\n {2}"CORSRules"[^`]*)```/.exec(page) ?? []
  return JSON.parse(json).CORSRules[0]
}

async function allow(AllowedMethods: string[], AllowedHeaders: string[]): Promise<void> {
  const client = createS3Client(bucket)
  const CORSRules = [{ ID: 'sealift', AllowedOrigins: [ORIGIN], AllowedMethods, AllowedHeaders }]
  await client.send(new PutBucketCorsCommand({ Bucket: bucket.bucket, CORSConfiguration: { CORSRules } }))
  client.destroy()
}

describe('a wrong setting is reported in one line that names it', () => {
  const secret = randomBytes(20).toString('hex')
  it.each<[string, Partial<S3ProbeOptions>, string | null]>([
    ['a port without a listener', { endpoint: 'http://127.0.0.1:9' }, 'storage.s3.endpoint'],
    ['a host that is not known', { endpoint: 'http://nowhere.invalid' }, 'storage.s3.endpoint'],
    ['a bucket that is not there', { bucket: 'no-such-bucket' }, 'storage.s3.bucket'],
    ['an unknown access key', { accessKeyId: 'AKUNKNOWN' }, 'storage.s3.accessKeyId'],
    ['a wrong secret', { secretAccessKey: secret }, 'storage.s3.secretAccessKey'],
    ['a clock that is wrong', { clock: () => Date.now() - 1_200_000 }, null],
    ['a wrong public address', { publicEndpoint: 'http://127.0.0.1:9' }, 'storage.s3.publicEndpoint'],
  ])('%s', async (_, change, setting) => {
    const [found, ...others] = problems(await probe(change))
    expect(found?.setting).toBe(setting)
    expect(found?.message).toMatch(/^[^\n]{20,200}$/)
    expect(found?.message).toContain(setting ?? 'clock')
    expect(found?.message).not.toContain(secret)
    expect(found?.message).not.toContain(bucket.secretAccessKey)
    expect(others).toEqual([])
  })

  it('https where the service speaks http', async () => {
    const [found] = problems(await probe({ endpoint: bucket.endpoint.replace('http:', 'https:') }))
    expect(found).toMatchObject({ check: 'endpoint', setting: 'storage.s3.endpoint' })
  })

  it('a key without the right to use the bucket', async () => {
    const uid = `stranger-${randomBytes(4).toString('hex')}`
    const keys = { accessKeyId: randomBytes(10).toString('hex'), secretAccessKey: randomBytes(20).toString('hex') }
    const names = ['--uid', uid, '--display-name', uid]
    const secrets = ['--access-key', keys.accessKeyId, '--secret', keys.secretAccessKey]
    await cephAdmin(ceph, ['user', 'create', ...names, ...secrets])
    const found = problems(await probe(keys))
    expect(found.map(({ message }) => message)).toEqual([
      expect.stringContaining('s3:ListBucket'),
      expect.stringContaining('s3:PutObject'),
    ])
    expect(found.every(({ setting }) => setting === 'storage.s3.accessKeyId')).toBe(true)
  })

  it('something else than an S3 service', async () => {
    const web = createServer(socket => {
      socket.on('error', () => undefined)
      socket.on('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello'))
    })
    web.listen(0, '127.0.0.1')
    await once(web, 'listening')
    const [found] = problems(await probe({ endpoint: `http://127.0.0.1:${(web.address() as AddressInfo).port}` }))
    expect(found).toMatchObject({ setting: 'storage.s3.endpoint' })
    web.close()
  })
})

it('never hangs, and stops when told', async () => {
  const silent = createServer(socket => socket.on('error', () => undefined))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const [found, ...others] = await probe({ endpoint, requestTimeoutMs: 200 })
  expect(found).toMatchObject({ level: 'problem', setting: 'storage.s3.endpoint' })
  expect(others).toEqual([])
  const reason = new Error('enough')
  const controller = new AbortController()
  const asked = probeS3({ ...bucket, endpoint, direct: false }, controller.signal)
  controller.abort(reason)
  await expect(asked).rejects.toBe(reason)
  silent.close()
})
