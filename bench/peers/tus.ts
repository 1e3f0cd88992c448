/** @tus/server with its file store: what most Node apps take resumable uploads with. It never syncs to disk. */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { UploadPeer } from '../context.ts'
import { timedUpload } from '../load/upload.ts'
import { startScript } from './script.ts'

export const tus: UploadPeer = {
  name: '@tus/server',
  missing: () => Promise.resolve(null),
  async receive(context) {
    const folder = await context.workspace.folder('tus')
    const server = await startScript('tus-server.ts', [folder], context.cores.server)
    return {
      ...server,
      async upload(sizeBytes) {
        return (await timedUpload({ protocol: 'tus', origin: server.origin, sizeBytes }, context)).seconds
      },
      async clear() {
        for (const name of await readdir(folder)) await rm(join(folder, name))
      },
    }
  },
}
