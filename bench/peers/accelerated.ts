/** Sealift behind nginx, which sends the bytes itself: the example of deploy/, without TLS. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { DownloadPeer } from '../context.ts'
import { missingTools } from '../tools.ts'
import { startNginxSite } from './nginx.ts'
import { startSealift, storeFile } from './sealift.ts'

const EXAMPLE = join(import.meta.dirname, '../../deploy/nginx-accelerated.conf.example')

export const accelerated: DownloadPeer = {
  name: 'Sealift behind nginx',
  missing: () => missingTools('nginx'),
  async serve(content, context) {
    await using stack = new AsyncDisposableStack()
    const settings = { listen: { trustedProxies: ['loopback'] }, storage: { accelerate: 'x-accel-redirect' } }
    // What comes through a proxy is not from this machine: the example's operator gives out tokens instead.
    const server = stack.use(
      await startSealift(context, { settings: { ...settings, access: { openMode: 'everywhere', openTier: 'bench' } } }),
    )
    const paths: string[] = []
    for (const name of content.names) paths.push(`/v1/media/${await storeFile(server, join(content.folder, name))}`)
    const example = await readFile(EXAMPLE, 'utf8')
    const site = (listen: string): string =>
      example
        .replace(/127\.0\.0\.1:7325/, new URL(server.origin).host)
        .replace(/listen 443 ssl;/, `listen ${listen};`)
        .replace(/^ *ssl_certificate.*\n/gm, '')
        .replace(/\/var\/lib\/sealift\/blobs/, server.blobs)
    const nginx = stack.use(await startNginxSite(site, context))
    const owned = stack.move()
    return { ...nginx, paths, [Symbol.asyncDispose]: () => owned.disposeAsync() }
  },
}
