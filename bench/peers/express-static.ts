/** What most Node servers serve files with: `express.static`, as its documentation shows it. */
import type { DownloadPeer } from '../context.ts'
import { startScript } from './script.ts'

export const expressStatic: DownloadPeer = {
  name: 'express.static',
  missing: () => Promise.resolve(null),
  async serve(content, context) {
    const server = await startScript('express-static-server.ts', [content.folder], context.cores.server)
    return { ...server, paths: content.names.map(name => `/${name}`) }
  },
}
