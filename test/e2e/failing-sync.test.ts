import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, it } from 'vitest'

import { localAuth } from '../support/local-token.ts'
import { bytesFor } from '../support/random.ts'
import { startServerProcess } from '../support/server-process.ts'

/** Makes every sync of a running process fail with EIO until disposed, as a dying disk does. */
async function failSyncs(pid: number): Promise<AsyncDisposable> {
  const inject = ['fsync', 'fdatasync', 'sync_file_range'].flatMap(call => ['-e', `inject=${call}:error=EIO`])
  const strace = spawn('strace', ['-f', '-e', 'trace=fsync,fdatasync,sync_file_range', ...inject, '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const exited = once(strace, 'exit')
  // Its first words are that it is attached.
  await once(strace.stderr, 'data')
  strace.stderr.resume()
  return {
    [Symbol.asyncDispose]: async () => {
      strace.kill('SIGINT')
      await exited
    },
  }
}

it('acknowledges nothing while syncs fail, still serves older media, and works again afterwards', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sealift-sync-'))
  await using server = await startServerProcess({ directory })
  const bytes = bytesFor('older', 300_000)
  const store = (): Promise<Response> =>
    fetch(`${server.url}/v1/media`, {
      method: 'POST',
      headers: { ...localAuth(server.url), 'content-type': 'application/octet-stream' },
      body: bytes,
    })
  const read = async (mediaId: string): Promise<Buffer> =>
    Buffer.from(await (await fetch(`${server.url}/v1/media/${mediaId}`)).arrayBuffer())

  const older = (await (await store()).json()) as { mediaId: string }
  {
    await using _failing = await failSyncs(server.pid)
    const refused = await store()
    expect([503, 507]).toContain(refused.status)
    expect(['unavailable', 'storage_full']).toContain(((await refused.json()) as { code: string }).code)
    expect((await read(older.mediaId)).equals(bytes)).toBe(true)
  }
  await expect.poll(async () => (await store()).status, { timeout: 20_000 }).toBe(201)
  expect((await read(older.mediaId)).equals(bytes)).toBe(true)
  rmSync(directory, { recursive: true, force: true })
})
