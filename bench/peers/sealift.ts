/** Sealift as an operator runs it: `sealift serve` with a configuration file whose limits are out of the way. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { BenchContext, DownloadPeer, UploadPeer } from '../context.ts'
import { ask } from '../load/requests.ts'
import { timedUpload } from '../load/upload.ts'
import { freePort, LOOPBACK } from '../net.ts'
import { startService } from '../processes.ts'
import { missingTools } from '../tools.ts'

export interface SealiftServer extends AsyncDisposable {
  readonly pid: number
  readonly origin: string
  /** The folder of the media, where they are kept as files. */
  readonly blobs: string
  /** Resolves when no media is stored: the sweeper deletes later, and must not do it while another is measured. */
  emptied(): Promise<void>
}

export interface SealiftOptions {
  /** False: started under eatmydata, which turns every fsync into nothing. Never for real data. */
  readonly syncs?: boolean
  /** False where client and server are meant to share all cores. */
  readonly pinned?: boolean
  /** Settings beside those that every benchmark needs, section by section. */
  readonly settings?: Settings
}

type Settings = Readonly<Record<string, unknown>>

/** Starts a server with an empty data folder. */
export async function startSealift(context: BenchContext, options: SealiftOptions = {}): Promise<SealiftServer> {
  const home = await context.workspace.folder('sealift')
  const port = await freePort()
  await writeFile(join(home, 'sealift.yaml'), configuration(join(home, 'data'), port, options.settings))
  const service = await startService(
    {
      command: process.execPath,
      args: [...context.build.cli, 'serve', '--config', join(home, 'sealift.yaml')],
      cores: options.pinned === false ? undefined : context.cores.server,
      cwd: home,
      ...(options.syncs === false ? { env: { LD_PRELOAD: 'libeatmydata.so' } } : {}),
    },
    started => started.line(new RegExp(`http://${LOOPBACK}:${port}`)),
  )
  const blobs = join(home, 'data', 'blobs')
  return { ...service, origin: `http://${LOOPBACK}:${port}`, blobs, emptied: () => untilEmpty(join(blobs, 'media')) }
}

async function untilEmpty(folder: string): Promise<void> {
  for (;;) {
    const entries = await readdir(folder, { recursive: true, withFileTypes: true })
    if (!entries.some(entry => entry.isFile())) return
    await sleep(50)
  }
}

/** Every limit stays in the path; only the values are higher than one loopback client can reach. */
function configuration(dataDirectory: string, port: number, settings: Settings = {}): string {
  const always: Record<string, Record<string, unknown>> = {
    listen: { host: LOOPBACK, port, maxConnections: 4096, maxConnectionsPerAddress: 4096 },
    admin: { enabled: false },
    log: { level: 'warn' },
    upkeep: { sweepEvery: '200ms' },
    // The load comes without tokens, as it does to the other peers.
    access: { openMode: 'everywhere', openTier: 'bench' },
    tiers: {
      bench: {
        concurrentUploads: 1000,
        concurrentDownloads: 1000,
        requestsPerSecond: 1_000_000,
        requestBurst: 1_000_000,
      },
    },
  }
  const sections = Object.entries(settings).map(([name, section]) => {
    const isSection = typeof section === 'object'
    return [name, isSection ? { ...always[name], ...section } : section]
  })
  // What JSON can say, YAML says in the same words.
  return JSON.stringify({ dataDirectory, ...always, ...Object.fromEntries(sections) }, null, 2)
}

export const sealift: DownloadPeer = {
  name: 'Sealift',
  missing: () => Promise.resolve(null),
  async serve(content, context) {
    const server = await startSealift(context)
    const paths: string[] = []
    for (const name of content.names) paths.push(`/v1/media/${await storeFile(server, join(content.folder, name))}`)
    return { ...server, paths }
  },
}

/** Uploads one file and returns its media id. */
export async function storeFile(server: Pick<SealiftServer, 'origin'>, path: string): Promise<string> {
  const body = await readFile(path)
  const response = await ask({
    method: 'POST',
    url: `${server.origin}/v1/media`,
    headers: { 'content-type': 'application/octet-stream' },
    body,
  })
  return (JSON.parse(response.body) as { mediaId: string }).mediaId
}

const PARALLEL_PARTS = 4

/** Sealift taking parts in parallel, as it runs everywhere: each acknowledged part is on the disk. */
export const sealiftUploads: UploadPeer = {
  name: 'Sealift',
  missing: () => Promise.resolve(null),
  receive: context => receive(context, { syncs: true }),
}

/** The same with syncs turned off from outside, to compare with servers that never sync. */
export const sealiftUploadsWithoutSync: UploadPeer = {
  name: 'Sealift, syncs off',
  missing: () => missingTools('eatmydata'),
  receive: context => receive(context, { syncs: false }),
}

async function receive(context: BenchContext, options: SealiftOptions): ReturnType<UploadPeer['receive']> {
  const server = await startSealift(context, options)
  const owner = 'bench-owner-secret-0123456789'
  let mediaId: string | null = null
  return {
    ...server,
    async upload(sizeBytes) {
      const load = { protocol: 'parts', origin: server.origin, sizeBytes, parallel: PARALLEL_PARTS, owner } as const
      const done = await timedUpload(load, context)
      mediaId = done.id
      return done.seconds
    },
    async clear() {
      if (mediaId === null) return
      await ask({ method: 'DELETE', url: `${server.origin}/v1/media/${mediaId}`, headers: { 'sealift-owner': owner } })
      await server.emptied()
      mediaId = null
    },
  }
}
