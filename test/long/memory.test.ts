import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { pipeline } from 'node:stream/promises'

import { request } from 'undici'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

import { runCli } from '../support/cli-process.ts'
import { drop, holdDownload, holdUpload, type HeldTransfer } from '../support/held-transfers.ts'
import { localAuth, localEnv } from '../support/local-token.ts'
import { peakResidentBytes, residentBytes } from '../support/process-facts.ts'
import { bytesFor } from '../support/random.ts'
import { type ServerProcess, startServerProcess } from '../support/server-process.ts'
import { readState } from '../support/server-state.ts'

const MB = 1e6
const MiB = 2 ** 20
const IN_FLIGHT = 500

const CONFIG = {
  upkeep: { sweepEvery: '200ms', orphanGrace: '0s', keepEnded: '1h' },
  tiers: {
    default: { concurrentUploads: 600, concurrentDownloads: 600, pendingUploads: 100_000, requestsPerSecond: 0 },
  },
}

describe('memory is bounded by concurrency, not by size', () => {
  let directory: string
  let server: ServerProcess

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'sealift-memory-'))
    server = await startServerProcess({ directory, config: CONFIG })
  })

  afterEach(async () => {
    await server.kill()
    rmSync(directory, { recursive: true, force: true })
  })

  it('sends and gets 2 GiB with client and server each under 250 MB', async () => {
    const file = join(directory, 'two-gibibytes.bin')
    await writeBigFile(file, 2 * 1024)
    const env = { SEALIFT_SERVER: server.url, ...localEnv(server.url), XDG_STATE_HOME: join(directory, 'state') }

    const sent = await runCli(['send', file], { env })
    expect(sent.exitCode, sent.stderr).toBe(0)
    const got = await runCli(['get', sent.stdout.trim().split('\n').at(-1) ?? '', '-o', join(directory, 'inbox')], {
      env,
    })
    expect(got.exitCode, got.stderr).toBe(0)
    expect(await hashOf(join(directory, 'inbox', 'two-gibibytes.bin'))).toBe(await hashOf(file))

    const peaks = { send: sent.peakResidentBytes, get: got.peakResidentBytes, server: peakResidentBytes(server.pid) }
    console.log(`2 GiB: peak resident MB ${JSON.stringify(mapValues(peaks, bytes => Math.round(bytes / MB)))}`)
    for (const [who, bytes] of Object.entries(peaks)) expect(bytes, who).toBeLessThan(250 * MB)
    rmSync(file)
    rmSync(join(directory, 'inbox'), { recursive: true })
  })

  it('holds 500 uploads and 500 downloads under 300 MB, and frees everything afterwards', async () => {
    const mediaId = await storeMedia(server.url, 64 * MiB)
    await warmUp(server.url, mediaId)
    const before = await settled(server, directory)

    const uploadIds = await beginUploads(server.url, IN_FLIGHT)
    const held: HeldTransfer[] = []
    for (const uploadId of uploadIds)
      held.push(await holdUpload(server.url, { uploadId, index: 0, sizeBytes: 8 * MiB }, 256 * 1024))
    for (let count = 0; count < IN_FLIGHT; count += 1) held.push(await holdDownload(server.url, mediaId, 256 * 1024))

    await expect
      .poll(() => readState(server, directory).then(({ uploads, downloads }) => ({ uploads, downloads })))
      .toEqual({ uploads: IN_FLIGHT, downloads: IN_FLIGHT })
    const samples: number[] = []
    for (let second = 0; second < 20; second += 1) {
      for (const transfer of held.slice(0, IN_FLIGHT)) transfer.socket.write(Buffer.alloc(16 * 1024, 9))
      await pause(1000)
      samples.push(residentBytes(server.pid))
    }
    console.log(`500 + 500 in flight: resident MB ${samples.map(bytes => Math.round(bytes / MB)).join(' ')}`)
    expect(Math.max(...samples)).toBeLessThan(300 * MB)

    // A reset that the kernel loses under pressure leaves a connection that the keep-alive timeout ends after 65 s.
    held.forEach(drop)
    for (const uploadId of uploadIds) await end(server.url, `/v1/uploads/${uploadId}`)
    await expect.poll(() => readState(server, directory), { timeout: 100_000, interval: 2000 }).toEqual(before)
  })

  it('is back where it began after 10,000 aborted transfers', async () => {
    const mediaId = await storeMedia(server.url, 16 * MiB)
    await warmUp(server.url, mediaId)
    const before = await settled(server, directory)
    for (let round = 0; round < 100; round += 1) {
      const uploadIds = await beginUploads(server.url, 50)
      const uploads = uploadIds.map(uploadId =>
        holdUpload(server.url, { uploadId, index: 0, sizeBytes: MiB }, 1 + round * 1000),
      )
      const downloads = Array.from({ length: 50 }, () => holdDownload(server.url, mediaId, 1 + round * 5000))
      for (const transfer of await Promise.all([...uploads, ...downloads])) drop(transfer)
      for (const uploadId of uploadIds) await end(server.url, `/v1/uploads/${uploadId}`)
    }
    await expect.poll(() => readState(server, directory), { timeout: 30_000, interval: 2000 }).toEqual(before)
    console.log(`10,000 aborts: resident MB ${Math.round(residentBytes(server.pid) / MB)}, ${JSON.stringify(before)}`)
  })
})

/** The state once nothing changes any more: connections of earlier requests are closed. */
async function settled(server: ServerProcess, directory: string): ReturnType<typeof readState> {
  let last = await readState(server, directory)
  for (;;) {
    await pause(6000)
    const now = await readState(server, directory)
    if (JSON.stringify(now) === JSON.stringify(last)) return now
    last = now
  }
}

/**
 * One transfer each way before anything is counted: after a first download the store deliberately keeps the blob's file
 * open for the next reader.
 */
async function warmUp(url: string, mediaId: string): Promise<void> {
  drop(await holdDownload(url, mediaId, 1024))
  const [uploadId = ''] = await beginUploads(url, 1)
  drop(await holdUpload(url, { uploadId, index: 0, sizeBytes: MiB }, 1024))
  await end(url, `/v1/uploads/${uploadId}`)
}

async function storeMedia(url: string, sizeBytes: number): Promise<string> {
  const response = await request(`${url}/v1/media`, {
    method: 'POST',
    headers: { ...localAuth(url), 'content-type': 'application/octet-stream' },
    body: bytesFor('held', sizeBytes),
    reset: true,
  })
  return ((await response.body.json()) as { mediaId: string }).mediaId
}

async function beginUploads(url: string, count: number): Promise<string[]> {
  const ids: string[] = []
  for (let index = 0; index < count; index += 1) {
    const response = await request(`${url}/v1/uploads`, {
      method: 'POST',
      headers: { ...localAuth(url), 'content-type': 'application/json' },
      body: '{}',
      reset: true,
    })
    ids.push(((await response.body.json()) as { uploadId: string }).uploadId)
  }
  return ids
}

async function end(url: string, path: string): Promise<void> {
  const response = await request(`${url}${path}`, { method: 'DELETE', headers: localAuth(url), reset: true })
  await response.body.dump()
}

async function writeBigFile(path: string, mebibytes: number): Promise<void> {
  const block = bytesFor('big', MiB)
  await pipeline(function* () {
    for (let index = 0; index < mebibytes; index += 1) {
      block.writeUInt32BE(index)
      yield Buffer.from(block)
    }
  }, createWriteStream(path))
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: MiB }), hash)
  return hash.digest('hex')
}

function mapValues<T, U>(record: Record<string, T>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]))
}
