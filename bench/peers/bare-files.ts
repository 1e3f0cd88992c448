/** A bare `node:http` server that reads the same files: the floor of what any server on Node costs. */
import type { DownloadPeer } from '../context.ts'
import { startScript } from './script.ts'

export const bareFiles: DownloadPeer = {
  name: 'bare node:http',
  missing: () => Promise.resolve(null),
  async serve(content, context) {
    const server = await startScript('bare-files-server.ts', [content.folder], context.cores.server)
    return { ...server, paths: content.names.map(name => `/${name}`) }
  },
}
