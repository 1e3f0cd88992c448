/** Starting with an S3 service that is not there, or not configured right. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import type { S3Connection } from '../../src/server/blobs/s3/s3-client.ts'
import type { RawMap } from '../../src/server/index.ts'
import { cephAdmin, cephEngine, type CephFacts } from '../support/engines/ceph.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { startCli, until } from '../support/running-cli.ts'
import { makeBucket, objectsIn, s3Settings } from '../support/s3-bucket.ts'
import { startWrongly } from '../support/start-fails.ts'
import { startS3FaultProxy } from '../support/s3-fault-proxy.ts'

const home = mkdtempSync(join(tmpdir(), 'sealift-s3-start-'))
const SECRET = `secret-${randomBytes(12).toString('hex')}`
let ceph: CephFacts
let bucket: S3Connection
let right: RawMap

beforeAll(async () => {
  ceph = await sharedEngine(cephEngine)
  bucket = await makeBucket(ceph)
  right = { storage: { kind: 's3', s3: s3Settings(bucket) } }
})

afterAll(() => rmSync(home, { recursive: true, force: true }))

/** The one line that is said. */
async function lineOf(s3: RawMap, storage: RawMap = {}): Promise<string> {
  const { code, said, elapsedMs } = await startWrongly(home, right, { storage: { ...storage, s3 } })
  expect(code, said).toBe(1)
  expect(said).toMatch(/^sealift: [^\n]{20,300}\n$/)
  for (const secret of [SECRET, ceph.secretAccessKey]) expect(said).not.toContain(secret)
  expect(elapsedMs).toBeLessThan(30_000)
  return said
}

async function served(response: RequestListener): Promise<{ readonly endpoint: string } & AsyncDisposable> {
  const server = createServer(response).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

describe('a wrong setting of the S3 service ends the start with one line that names it', () => {
  it.each<[string, RawMap, string]>([
    ['nobody listens', { endpoint: 'http://127.0.0.1:9' }, 'storage.s3.endpoint'],
    ['no such host', { endpoint: 'http://nowhere.invalid' }, 'storage.s3.endpoint'],
    ['no such bucket', { bucket: 'no-such-bucket' }, 'storage.s3.bucket'],
    ['an unknown key', { accessKeyId: 'AKUNKNOWN', secretAccessKey: SECRET }, 'storage.s3.accessKeyId'],
    ['a wrong secret', { secretAccessKey: SECRET }, 'storage.s3.secretAccessKey'],
  ])('%s', async (_, wrong, setting) => {
    expect(await lineOf(wrong)).toContain(setting)
  })

  it('https where http is spoken', async () => {
    expect(await lineOf({ endpoint: ceph.endpoint.replace('http:', 'https:') })).toContain('storage.s3.endpoint')
  })

  it('a key that may not use the bucket', async () => {
    const uid = `stranger-${randomBytes(4).toString('hex')}`
    const accessKeyId = randomBytes(10).toString('hex')
    const keys = ['--access-key', accessKeyId, '--secret', SECRET]
    await cephAdmin(ceph, ['user', 'create', '--uid', uid, '--display-name', uid, ...keys])
    const said = await lineOf({ accessKeyId, secretAccessKey: SECRET })
    expect(said).toContain('storage.s3.accessKeyId: this key lacks the permission s3:ListBucket')
  })

  it.each([
    ['PUT', 's3:PutObject'],
    ['GET', 's3:GetObject'],
    ['DELETE', 's3:DeleteObject'],
  ] as const)('a key that may do all but %s', async (refused, permission) => {
    await using proxy = await startS3FaultProxy(ceph.endpoint)
    proxy.faults = call => (call === refused ? { how: 'status', status: 403, code: 'AccessDenied' } : null)
    // What cannot be deleted stays.
    const { bucket: own } = await makeBucket(ceph)
    const said = await lineOf({ endpoint: proxy.url, bucket: own })
    expect(said).toContain(`storage.s3.accessKeyId: this key lacks the permission ${permission}`)
  })

  it('a password in the address, which is told to nobody', async () => {
    const endpoint = `http://somebody:${SECRET}@127.0.0.1:9`
    const { code, said } = await startWrongly(home, right, { storage: { s3: { endpoint } } })
    expect(code, said).not.toBe(0)
    expect(said).toContain('storage.s3.endpoint')
    expect(said).not.toContain(SECRET)
  })

  it('a file of the secret that is not there', async () => {
    const { code, said } = await startWrongly(home, right, {
      storage: { s3: { secretAccessKey: null, secretAccessKeyFile: join(home, 'nowhere') } },
    })
    expect(code, said).not.toBe(0)
    expect(said).toContain('storage.s3.secretAccessKeyFile')
  })

  it.each([
    ['AuthorizationHeaderMalformed', 'storage.s3.region'],
    ['RequestTimeTooSkewed', 'clock'],
  ])('what the service calls %s', async (code, named) => {
    await using proxy = await startS3FaultProxy(ceph.endpoint)
    proxy.faults = call => (call === 'LIST' ? { how: 'status', status: 400, code } : null)
    expect(await lineOf({ endpoint: proxy.url })).toContain(named)
  })

  it('clocks that differ', async () => {
    const date = new Date(Date.now() - 20 * 60_000).toUTCString()
    await using service = await served((_, response) => response.writeHead(200, { date }).end())
    expect(await lineOf({ endpoint: service.endpoint })).toMatch(/clock is 1\d{3} s away from the service's: set it/)
  })

  it('something else than an S3 service', async () => {
    await using service = await served((_, response) => response.end('hello'))
    expect(await lineOf({ endpoint: service.endpoint })).toContain('storage.s3.endpoint')
  })
})

it('a service that never responds is not waited for', async () => {
  const silent = createTcpServer(socket => socket.on('error', () => undefined)).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const endpoint = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  expect(await lineOf({ endpoint, requestTimeout: '500ms' })).toContain('does not respond in time')
  silent.close()
})

it('every process of several ends, and one tells', async () => {
  const { code, said } = await startWrongly(home, right, {
    workers: 2,
    limits: { shared: 'valkey', valkey: { url: 'redis://127.0.0.1:9' } },
    storage: { s3: { bucket: 'no-such-bucket' } },
  })
  expect(code, said).toBe(1)
  expect(said).toMatch(/^sealift: storage\.s3\.bucket: [^\n]+\n$/)
})

it('a service that fails for a moment is asked again; what it lacks is told once, and nothing of the probe stays', async () => {
  await using proxy = await startS3FaultProxy(ceph.endpoint)
  proxy.faults = (call, nth) => (call === 'LIST' && nth === 1 ? { how: 'status', status: 503, code: 'SlowDown' } : null)
  const file = join(home, 'right.yaml')
  const storage = { ...(right['storage'] as RawMap), transfer: 'direct' }
  const s3 = { ...(storage as { s3?: RawMap }).s3, endpoint: proxy.url }
  const dataDirectory = join(home, 'data')
  writeFileSync(
    file,
    JSON.stringify({ listen: { port: 0 }, admin: { enabled: false }, dataDirectory, storage: { ...storage, s3 } }),
  )
  await using running = startCli(['serve', '--config', file])
  await until('it serves', () => running.stdout().includes('Sealift listens') || running.child.exitCode !== null)
  expect(running.stderr().match(/CORS rules do not let/g)).toHaveLength(1)
  expect(await objectsIn(bucket)).toEqual([])
  running.child.kill('SIGTERM')
  expect((await running.result).code).toBe(0)
  expect(running.stderr()).not.toContain(ceph.secretAccessKey)
})
