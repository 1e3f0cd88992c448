/** nginx, run by the user who runs the benchmark, with a configuration and folders of its own. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { userInfo } from 'node:os'

import type { BenchContext, DownloadPeer } from '../context.ts'
import { freePort, LOOPBACK, untilListening } from '../net.ts'
import { type Service, startService } from '../processes.ts'
import { findTool, missingTools } from '../tools.ts'

export const nginx: DownloadPeer = {
  name: 'nginx',
  missing: () => missingTools('nginx'),
  async serve(content, context) {
    const server = await startNginx(content.folder, context)
    return { ...server, paths: content.names.map(name => `/${name}`) }
  },
}

export interface Nginx extends AsyncDisposable {
  readonly pid: number
  readonly origin: string
}

/** Serves `root` with sendfile, and takes `PUT` (WebDAV) into it. */
export function startNginx(root: string, context: BenchContext): Promise<Nginx> {
  return startNginxSite(
    listen => `
  server {
    listen ${listen};
    root ${root};
    location / { dav_methods PUT DELETE; }
  }`,
    context,
  )
}

/** `site`: what stands inside `http`, for an address to listen at. */
export async function startNginxSite(site: (listen: string) => string, context: BenchContext): Promise<Nginx> {
  const home = await context.workspace.folder('nginx')
  const port = await freePort()
  await mkdir(join(home, 'temp'))
  const text = configuration({ home, site: site(`${LOOPBACK}:${port}`), workers: context.cores.serverCount })
  await writeFile(join(home, 'nginx.conf'), text)
  const command = (await findTool('nginx')) ?? 'nginx'
  const service: Service = await startService(
    { command, args: ['-p', home, '-c', join(home, 'nginx.conf'), '-e', 'stderr'], cores: context.cores.server },
    () => untilListening(port),
  )
  return { ...service, origin: `http://${LOOPBACK}:${port}` }
}

interface Settings {
  readonly home: string
  readonly site: string
  readonly workers: number
}

function configuration({ home, site, workers }: Settings): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    kind => `${kind}_temp_path ${home}/temp/${kind};`,
  )
  return `
daemon off;
${process.getuid?.() === 0 ? `user ${userInfo().username};` : ''}
worker_processes ${workers};
pid ${home}/nginx.pid;
error_log stderr error;
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 10000000;
  client_max_body_size 0;
  ${temp.join('\n  ')}
${site}
}
`
}
