/** Everything a server holds that must be back where it began once transfers are over. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { request } from 'undici'

import { localAuth } from './local-token.ts'
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
  // Counted before asking: the connection of the question itself takes a moment to go.
  const descriptors = openDescriptors(server.pid)
  const response = await request(`${server.url}/v1/limits`, { reset: true, headers: localAuth(server.url) })
  const { usage } = (await response.body.json()) as { usage: Omit<ServerState, 'descriptors' | 'files'> }
  const { uploads, downloads, reservedBytes, pendingUploads } = usage
  return {
    descriptors,
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
