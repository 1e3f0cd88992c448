/** nginx in front of a Sealift, with one of the examples of deploy/ as its configuration. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { freePort } from './engines/free-port.ts'
import { eventually } from './eventually.ts'

export interface Nginx extends AsyncDisposable {
  readonly url: string
  /** What it wrote to its error log. */
  readonly log: () => Promise<string>
}

export interface NginxOptions {
  /** Name of the example; or the text of another configuration, with `{port}` for the port to listen on. */
  readonly example: string | { readonly text: string }
  /** Where Sealift listens. */
  readonly upstream: string
  /** Put for parts of the example that differ here. */
  readonly replace?: readonly (readonly [RegExp, string])[]
}

/** Plain HTTP on a free loopback port instead of TLS; all else as the example says. */
export async function startNginx({ example, upstream, replace = [] }: NginxOptions): Promise<Nginx> {
  const home = await mkdtemp(join(tmpdir(), 'sealift-nginx-'))
  const port = await freePort()
  const text =
    typeof example === 'string' ? await readExample(example) : example.text.replaceAll('{port}', String(port))
  const site = [
    [/127\.0\.0\.1:7325/, new URL(upstream).host] as const,
    [/listen 443 ssl( http2)?;/, `listen 127.0.0.1:${port};`] as const,
    [/^ *ssl_certificate.*;\n/gm, ''] as const,
    ...replace,
  ].reduce((written, [from, to]) => written.replace(from, to), text)
  await mkdir(join(home, 'temp'))
  await writeFile(join(home, 'nginx.conf'), around(home, site))
  const child = spawn('nginx', ['-p', home, '-c', join(home, 'nginx.conf'), '-e', join(home, 'error.log')], {
    stdio: 'ignore',
  })
  const log = () => readFile(join(home, 'error.log'), 'utf8').catch(() => '')
  const url = `http://127.0.0.1:${port}`
  await eventually('nginx responses', async () => {
    if (child.exitCode !== null) throw new Error(`nginx ended: ${await log()}`)
    return fetch(`${url}/healthz`).then(
      () => true,
      () => false,
    )
  })
  return {
    url,
    log,
    async [Symbol.asyncDispose]() {
      if (child.exitCode === null) {
        child.kill('SIGTERM')
        await once(child, 'exit')
      }
      await rm(home, { recursive: true, force: true })
    },
  }
}

function readExample(name: string): Promise<string> {
  return readFile(fileURLToPath(new URL(`../../deploy/${name}`, import.meta.url)), 'utf8')
}

function around(home: string, site: string): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(kind => `${kind}_temp_path ${home}/temp;`)
  return `
daemon off;
${process.getuid?.() === 0 ? `user ${userInfo().username};` : ''}
worker_processes 1;
pid ${home}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  ${temp.join('\n  ')}
${site}
}
`
}
