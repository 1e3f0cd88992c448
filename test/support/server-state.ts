/** Everything a server holds that must be back where it began once transfers are over. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { openDescriptors } from './process-facts.ts'
import type { ServerProcess } from './server-process.ts'

export interface ServerState {
  readonly descriptors: number
  readonly files: number
  readonly uploads: number
  readonly downloads: number
  readonly reservedBytes: number
  readonly pendingUploads: number
}

export async function readState(server: ServerProcess, directory: string): Promise<ServerState> {
  // Without keep-alive, so that asking leaves no socket of its own open.
  const answer = await fetch(`${server.url}/v1/limits`, { headers: { connection: 'close' } })
  const { usage } = (await answer.json()) as { usage: Omit<ServerState, 'descriptors' | 'files'> }
  const { uploads, downloads, reservedBytes, pendingUploads } = usage
  return {
    descriptors: openDescriptors(server.pid),
    files: filesBelow(join(directory, 'data', 'blobs')),
    uploads,
    downloads,
    reservedBytes,
    pendingUploads,
  }
}

function filesBelow(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter(entry => entry.isFile()).length
}
