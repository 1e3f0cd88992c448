/** The recipe of docs/operations.md, as it stands there, on a server that is being written to. */
import { execFile } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, expect, it } from 'vitest'

import { media } from '../../src/protocol/schemas.ts'
import { createApi, type Api } from '../support/api.ts'
import { bytesFor } from '../support/random.ts'
import { runCli } from '../support/running-cli.ts'
import { startServe } from '../support/serving.ts'

const run = promisify(execFile)
const home = mkdtempSync(join(tmpdir(), 'sealift-backup-'))
afterAll(() => rmSync(home, { recursive: true, force: true }))

function recipe(): string {
  const page = readFileSync(new URL('../../docs/operations.md', import.meta.url), 'utf8')
  const found = /^## Backup and restore$.*?^```sh\n(.*?)^```$/ms.exec(page)?.[1]
  if (found === undefined) throw new Error('The page has no recipe')
  return found
}

/** What the image has: Node, and the programs of its base system that the recipe names. */
function imagePath(): string {
  const bin = join(home, 'bin')
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))
  for (const name of ['cp', 'find', 'mkdir', 'sync']) symlinkSync(join('/usr/bin', name), join(bin, name))
  return bin
}

/** Stores, and ends every third, until it is told to stop. */
async function keepWriting(api: Api, name: string, stop: AbortSignal): Promise<Map<string, Buffer>> {
  const stored = new Map<string, Buffer>()
  for (let index = 0; !stop.aborted; index += 1) {
    const bytes = bytesFor(`${name} ${index}`, 20_000 + index)
    const { mediaId } = await api.store(bytes)
    if (index % 3 === 2) await api.call('endLease', { mediaId })
    else stored.set(mediaId, bytes)
  }
  return stored
}

it('a backup of a running server holds all that was acknowledged before it began', async () => {
  const source = join(home, 'source')
  mkdirSync(source)
  await using serving = await startServe(source)
  const api = createApi(serving.url, { owner: 'the-owner-secret-of-a-backup' })
  const before = new Map<string, Buffer>()
  for (let index = 0; index < 50; index += 1) {
    const bytes = bytesFor(`before ${index}`, 50_000 + index)
    before.set((await api.store(bytes)).mediaId, bytes)
  }
  const stop = new AbortController()
  const writing = Array.from({ length: 4 }, (_, index) => keepWriting(api, `writer ${index}`, stop.signal))
  const script = recipe()
  expect(script).not.toMatch(/sqlite3 |rsync/)
  const env = { PATH: imagePath() }
  const told = await run('/bin/sh', ['-c', script], { cwd: source, env }).then(
    ({ stderr }) => stderr,
    (error: { stderr: string }) => error.stderr,
  )
  // What vanished under `cp` had been ended by a writer.
  expect(told.split('\n').filter(line => !/^(cp: .*No such file or directory|\(node.*|)$/.test(line))).toEqual([])
  stop.abort()
  const later = new Map((await Promise.all(writing)).flatMap(map => [...map]))
  expect(later.size).toBeGreaterThan(0)

  const restored = join(home, 'restored')
  mkdirSync(restored)
  renameSync(join(source, 'backup'), join(restored, 'data'))
  chmodSync(join(restored, 'data'), 0o700)
  const fsck = await runCli(['fsck', '--json', '--data', join(restored, 'data')])
  const { findings } = JSON.parse(fsck.stdout.toString()) as { findings: { kind: string }[] }
  // Stored after the records were copied, or ended while the bytes were.
  const foreign = findings.filter(({ kind }) => !['orphan', 'missing', 'short', 'charge'].includes(kind))
  expect(foreign, fsck.stderr).toEqual([])
  await using again = await startServe(restored)
  const reader = createApi(again.url)
  for (const [mediaId, bytes] of before) expect((await reader.read(mediaId)).body.equals(bytes)).toBe(true)
  for (const [mediaId, bytes] of later) {
    const info = await reader.call('mediaInfo', { mediaId })
    // Either the records are older than its end, or it is whole.
    const { state } = info.status === 200 ? media.parse(info.json) : { state: null }
    const whole = state === 'complete' ? (await reader.read(mediaId)).body.equals(bytes) : state
    expect([true, null, 'uploading']).toContain(whole)
  }
})
