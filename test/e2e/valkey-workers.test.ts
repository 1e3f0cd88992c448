import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { acceptQueueOf, systemAcceptQueue } from '../support/accept-queue.ts'
import { createApi, type Api } from '../support/api.ts'
import { sharedEngine } from '../support/engines/shared.ts'
import { valkeyEngine } from '../support/engines/valkey.ts'
import { localTokenOf } from '../support/local-token.ts'
import { bytesFor } from '../support/random.ts'
import { childrenOf } from '../support/process-facts.ts'
import { startCli, until } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'

const CAP = 3
const bytes = bytesFor('workers', 400_000)

describe('several processes on one machine, files and SQLite', () => {
  const home = mkdtempSync(join(tmpdir(), 'sealift-workers-'))
  let serving: Serving
  let api: Api
  let adminUrl: string

  beforeAll(async () => {
    const { url } = await sharedEngine(valkeyEngine)
    serving = await startServe(home, {
      workers: 2,
      admin: { port: 0 },
      transfer: { stopGrace: '2s' },
      limits: { shared: 'valkey', valkey: { url, prefix: `workers-${process.pid}:`, leaseTtl: '2s' } },
      tiers: { default: { concurrentDownloads: CAP, downloadBytesPerSecond: '400kB', queue: 0 } },
    })
    await until('it announces its addresses', () => serving.running.stdout().includes('Metrics'))
    adminUrl = /http:\/\/127\.0\.0\.1:\d+$/m.exec(serving.running.stdout().split('Metrics')[1] ?? '')?.[0] ?? ''
    api = createApi(serving.url)
  })

  afterAll(async () => {
    await serving[Symbol.asyncDispose]()
    rmSync(home, { recursive: true, force: true })
  })

  const workers = () => childrenOf(serving.running.child.pid ?? 0)
  const metric = async (line: string) => {
    const page = await (await fetch(`${adminUrl}/metrics`)).text()
    return Number(
      page
        .split('\n')
        .find(each => each.startsWith(`${line} `))
        ?.split(' ')
        .at(-1),
    )
  }

  it('serve one address, and each knows what another stored', async () => {
    expect(workers()).toHaveLength(2)
    const { mediaId } = await api.store(bytes)
    const before = await metric('sealift_transfer_bytes_total{direction="download"}')
    const responses = await Promise.all(Array.from({ length: CAP }, () => api.read(mediaId)))
    for (const response of responses) expect(response.body.equals(bytes)).toBe(true)
    // One page for both.
    expect((await metric('sealift_transfer_bytes_total{direction="download"}')) - before).toBe(CAP * bytes.length)
    expect(await metric('sealift_storage_blobs')).toBe(1)
    expect(await metric('sealift_ready')).toBe(1)
  })

  it('share the token of their user, and a queue of connections that wait', async () => {
    const token = localTokenOf(serving.url)
    expect(token).toMatch(/^sealift_/)
    const responses = await Promise.all(Array.from({ length: 8 }, () => createApi(serving.url).call('limits', {})))
    expect(responses.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200))
    expect((await createApi(serving.url, { token: null }).call('limits', {})).status).toBe(401)
    expect(await acceptQueueOf(serving.url)).toBe(Math.min(4096, systemAcceptQueue()))
  })

  it('keep a cap together', async () => {
    const { mediaId } = await api.store(bytes)
    const responses = await Promise.all(Array.from({ length: 8 }, () => api.read(mediaId)))
    expect(responses.filter(({ status }) => status === 200)).toHaveLength(CAP)
    expect(responses.filter(({ code }) => code === 'too_many_downloads')).toHaveLength(8 - CAP)
  })

  it('forget a media item at once when another process ends it', async () => {
    const owner = 'a-secret-of-the-owner-of-it'
    const own = createApi(serving.url, { owner })
    for (let round = 0; round < 4; round += 1) {
      const { mediaId } = await own.store(bytesFor(`gone ${round}`, 1000))
      for (let read = 0; read < 4; read += 1) expect((await own.read(mediaId)).status).toBe(200)
      await own.call('endLease', { mediaId })
      for (let read = 0; read < 4; read += 1) expect((await own.read(mediaId)).status).toBe(410)
    }
  })

  it('go on when one is killed: another takes its place, and its slots come back', async () => {
    const { mediaId } = await api.store(bytes)
    const counted = () => metric('sealift_transfer_bytes_total{direction="upload"}')
    const before = await counted()
    const [victim] = workers()
    process.kill(victim ?? 0, 'SIGKILL')
    await until('readiness is red', async () => (await fetch(`${adminUrl}/readyz`)).status === 503)
    expect(serving.running.stderr()).toContain('another is started')
    // What it counted stays counted: a counter that goes down would be taken for one that began anew.
    expect(await counted()).toBe(before)
    await until('there are two again', () => workers().length === 2)
    await until('readiness is green', async () => (await fetch(`${adminUrl}/readyz`)).status === 200)
    expect(await counted()).toBe(before)
    expect((await api.read(mediaId)).body.equals(bytes)).toBe(true)
    await until(
      'all slots are free',
      async () => (await metric('sealift_transfers_in_flight{direction="download"}')) === 0,
    )
  })

  it('that have just been started are signalled to reload once they listen, and survive', async () => {
    const before = workers()
    process.kill(before[0] ?? 0, 'SIGKILL')
    const started = () => workers().find(pid => !before.includes(pid))
    await until('another is started', () => started() !== undefined)
    const reloaded = () => serving.running.stderr().split('configuration reloaded').length
    const reloadedBefore = reloaded()
    const pid = started()
    serving.running.child.kill('SIGHUP')
    await until('readiness is green', async () => (await fetch(`${adminUrl}/readyz`)).status === 200)
    expect(started(), serving.running.stderr()).toBe(pid)
    await until('both have read it', () => reloaded() >= reloadedBefore + 2)
  })

  it('take over a new limit together, and stop together', async () => {
    const pids = workers()
    serving.running.child.kill('SIGHUP')
    await until('both have read it', () => serving.running.stderr().split('configuration reloaded').length > 2)
    // The third that dies soon: its successor would be started after four seconds.
    process.kill(pids[0] ?? 0, 'SIGKILL')
    await until('it is gone', () => workers().length === 1)
    const starts = () => serving.running.stderr().split('server started').length
    const before = starts()
    serving.running.child.kill('SIGTERM')
    expect((await serving.running.result).code).toBe(0)
    expect(starts()).toBe(before)
    for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow('ESRCH')
  })

  it('that cannot start say why once, and end', async () => {
    await using running = startCli(['serve', '--port', '0', '--data', join(home, 'other')], {
      env: {
        SEALIFT_WORKERS: '2',
        SEALIFT_LIMITS_SHARED: 'valkey',
        SEALIFT_LIMITS_VALKEY_URL: 'redis://:a-secret-password@127.0.0.1:9',
      },
    })
    const { code, stderr } = await running.result
    expect(code).toBe(1)
    expect(stderr.match(/limits\.valkey\.url/g)).toHaveLength(1)
    expect(stderr).not.toContain('a-secret-password')
  })
})
