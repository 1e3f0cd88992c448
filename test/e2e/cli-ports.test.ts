/** Servers beside each other, and bursts of connections. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'

import { acceptQueueOf, systemAcceptQueue } from '../support/accept-queue.ts'
import { diagnose } from '../support/doctor.ts'
import { runCli, startCli, until, type RunningCli } from '../support/running-cli.ts'

const home = mkdtempSync(join(tmpdir(), 'sealift-ports-'))
afterAll(() => rmSync(home, { recursive: true, force: true }))

async function serve(...args: string[]): Promise<RunningCli & { readonly url: string }> {
  const running = startCli(['serve', '--data', mkdtempSync(join(home, 'data-')), ...args])
  await until('it says where it is', () => running.stdout().includes('Data is in') || running.child.exitCode !== null)
  return { ...running, url: /^Sealift listens on (\S+)$/m.exec(running.stdout())?.[1] ?? running.stderr() }
}

const adminOf = async ({ stdout }: RunningCli): Promise<{ url: string; note: string }> => {
  await until('it says where metrics are', () => stdout().includes('Metrics'))
  const [, url = '', note = ''] = /^Metrics and health are on (\S+)(.*)$/m.exec(stdout()) ?? []
  return { url, note }
}

async function holdPort(): Promise<{ port: number; close: () => void }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { port: (server.address() as AddressInfo).port, close: () => void server.close() }
}

describe('an admin port', () => {
  const holder = createServer()
  beforeEach(async () => {
    // Taken either way: by this test, or by whatever was there before.
    holder.listen(7326, '127.0.0.1')
    await Promise.race([once(holder, 'listening'), once(holder, 'error')]).catch(() => undefined)
  })
  afterEach(() => holder.close())

  it('that nobody set gives way to another server, and says so', async () => {
    await using running = await serve('--port', '0')
    const { url, note } = await adminOf(running)
    expect(new URL(url).port).not.toBe('7326')
    expect(note).toContain('7326 is in use')
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
  })

  it('that is set and taken is an error that names the setting', async () => {
    const { port, close } = await holdPort()
    const file = join(home, 'taken.yaml')
    writeFileSync(file, `listen: {port: 0}\nadmin: {port: ${port}}`)
    const { code, stdout, stderr } = await runCli(['serve', '-c', file, '--data', join(home, 'taken')])
    expect([code, stdout.toString()]).toEqual([1, ''])
    expect(stderr).toContain('admin.port')
    expect(stderr).toContain(String(port))
    close()
  })

  it('that nobody set is no failure of doctor, one that is set and taken is', async () => {
    expect((await diagnose(home, { admin: { enabled: true } })).checks['admin port']).toMatch(/^ok: 127\.0\.0\.1:7326/)
    const { port, close } = await holdPort()
    expect((await diagnose(home, { admin: { port } })).checks['admin port']).toMatch(/^fail: .*another program/)
    close()
  })
})

describe('connections that wait to be accepted', () => {
  it('are as many as listen.backlog says, on both listeners', async () => {
    const file = join(home, 'backlog.yaml')
    writeFileSync(file, 'listen: {port: 0, backlog: 77}\nadmin: {port: 0}')
    await using running = await serve('-c', file)
    expect(await acceptQueueOf(running.url)).toBe(77)
    expect(await acceptQueueOf((await adminOf(running)).url)).toBe(77)
  })

  it('of a burst of 1,000 are all taken, none is reset: the server is stopped while they come', async () => {
    const file = join(home, 'burst.yaml')
    writeFileSync(file, 'listen: {port: 0, maxConnectionsPerAddress: 0}\nadmin: {enabled: false}')
    await using running = await serve('-c', file)
    expect(await acceptQueueOf(running.url)).toBe(Math.min(4096, systemAcceptQueue()))
    running.child.kill('SIGSTOP')
    const sockets = await Promise.all(Array.from({ length: 1000 }, () => open(running.url)))
    running.child.kill('SIGCONT')
    const responses = await Promise.all(sockets.map(ask))
    expect(responses.filter(response => response.startsWith('HTTP/1.1 200'))).toHaveLength(1000)
  })

  it('are compared with what the system allows', async () => {
    const most = systemAcceptQueue()
    const enough = await diagnose(home, { listen: { port: 0, backlog: Math.min(most, 65_535) } })
    expect(enough.checks['backlog']).toMatch(/^ok/)
    const beyond = await diagnose(home, { listen: { port: 0, backlog: most + 1 } })
    expect(beyond.checks['backlog']).toContain(`sysctl -w net.core.somaxconn=${most + 1}`)
    expect(beyond).toMatchObject({ ok: true })
  })
})

async function open(url: string): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port) })
  await once(socket, 'connect')
  return socket
}

/** The response, or what ended the connection instead. */
async function ask(socket: Socket): Promise<string> {
  socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')
  try {
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString()
  } catch (error) {
    return String(error)
  }
}
