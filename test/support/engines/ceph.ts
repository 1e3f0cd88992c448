/**
 * Ceph's S3 gateway on loopback, from Debian's packages: one monitor, one manager, one store in memory and the gateway,
 * in a private folder, without systemd. Nothing survives the processes; a restart of the gateway alone loses nothing.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import { type Daemon, runCommand, startDaemon } from './daemon.ts'
import type { Engine, RunningEngine } from './engine.ts'
import { freePort } from './free-port.ts'

export interface CephFacts {
  /** `http://127.0.0.1:<port>`; path style. */
  readonly endpoint: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** For `cephAdmin`. */
  readonly configFile: string
}

export interface Ceph extends RunningEngine<CephFacts> {
  /** The gateway is idle, with its connections open, until `resume`. */
  pause(): void
  resume(): void
  /** `kill -9` of the gateway; what it acknowledged is kept by the store behind it. */
  kill(): Promise<void>
  /** Starts a gateway that was killed, on the same port; resolves when it responds. */
  restart(): Promise<void>
}

export const cephEngine: Engine<CephFacts> = { name: 'ceph', start: startCeph }

const READY_MS = 60_000

/** Takes about 10 s. */
export async function startCeph(): Promise<Ceph> {
  const folder = await mkdtemp(join(tmpdir(), 'sealift-ceph-'))
  const daemons: Daemon[] = []
  const dispose = async (): Promise<void> => {
    await Promise.all(daemons.map(daemon => daemon.end()))
    await rm(folder, { recursive: true, force: true })
  }
  try {
    return await startIn(folder, daemons, dispose)
  } catch (error) {
    const logs = daemons.map(daemon => daemon.log()).join('\n')
    await dispose()
    throw new Error(`Ceph did not start: ${logs}`, { cause: error })
  }
}

/** Runs `radosgw-admin`, such as for a quota. @returns what it prints */
export function cephAdmin({ configFile }: Pick<CephFacts, 'configFile'>, args: readonly string[]): Promise<string> {
  return runCommand('radosgw-admin', ['-c', configFile, ...args])
}

async function startIn(folder: string, daemons: Daemon[], dispose: () => Promise<void>): Promise<Ceph> {
  const configFile = join(folder, 'ceph.conf')
  const start = (program: string, ...args: string[]): Daemon => {
    const daemon = startDaemon([program, '-c', configFile, '-f', ...args], join(folder, `${program}.log`))
    daemons.push(daemon)
    return daemon
  }
  await startStore(folder, configFile, start)
  const port = await freePort()
  const endpoint = `http://127.0.0.1:${port}`
  const gateway = () => start('radosgw', '-n', 'client.rgw', '--rgw-frontends', `beast endpoint=127.0.0.1:${port}`)
  let running = gateway()
  const keys = { accessKeyId: randomBytes(10).toString('hex'), secretAccessKey: randomBytes(20).toString('hex') }
  await makeUser(configFile, keys)
  await responses(endpoint, running)
  return {
    facts: { endpoint, region: 'default', ...keys, configFile },
    pause: () => running.pause(),
    resume: () => running.resume(),
    kill: () => running.end('SIGKILL'),
    async restart() {
      await running.end('SIGKILL')
      running = gateway()
      await responses(endpoint, running)
    },
    [Symbol.asyncDispose]: dispose,
  }
}

async function startStore(
  folder: string,
  configFile: string,
  start: (program: string, ...args: string[]) => Daemon,
): Promise<void> {
  const keyring = join(folder, 'keyring')
  const osdId = randomUUID()
  await writeFile(configFile, configText(folder, await freePort()))
  await writeFile(keyring, keyringText(), { mode: 0o600 })
  for (const each of ['osd', 'mgr']) await mkdir(join(folder, each))
  await runCommand('ceph-mon', ['-c', configFile, '--mkfs', '-i', 'a', '--keyring', keyring])
  start('ceph-mon', '-i', 'a')
  await runCommand('ceph', ['-c', configFile, '--connect-timeout', '20', 'osd', 'new', osdId])
  await runCommand('ceph-osd', ['-c', configFile, '-i', '0', '--mkfs', '--osd-uuid', osdId])
  start('ceph-osd', '-i', '0')
  start('ceph-mgr', '-i', 'x')
}

function configText(folder: string, monitorPort: number): string {
  const settings = {
    fsid: randomUUID(),
    'mon host': `v2:127.0.0.1:${monitorPort}/0`,
    'ms bind msgr1': false,
    keyring: join(folder, 'keyring'),
    'run dir': folder,
    'admin socket': '',
    'log file': '',
    'mon data': join(folder, 'mon'),
    'osd data': join(folder, 'osd'),
    'mgr data': join(folder, 'mgr'),
    'osd objectstore': 'memstore',
    'memstore device bytes': 16 * 2 ** 30,
    'osd pool default size': 1,
    'osd pool default min size': 1,
    'osd pool default pg num': 1,
    'osd pool default pgp num': 1,
    'osd pool default pg autoscale mode': 'off',
    'osd crush chooseleaf type': 0,
    'mon allow pool size one': true,
    'paxos propose interval': 0.05,
    // Deleted bytes leave the memory soon.
    'rgw gc obj min wait': 5,
    'rgw gc processor period': 5,
    'rgw dynamic resharding': false,
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
  return `[global]\n${lines.join('')}`
}

function keyringText(): string {
  const all = { mon: 'allow *', osd: 'allow *', mgr: 'allow *' }
  const capabilities: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'mon.': { mon: 'allow *' },
    'client.admin': all,
    'client.rgw': { mon: 'allow rw', osd: 'allow rwx' },
    'mgr.x': { mon: 'allow profile mgr', osd: 'allow *', mds: 'allow *' },
    'osd.0': { mon: 'allow profile osd', mgr: 'allow profile osd', osd: 'allow *' },
  }
  const entries = Object.entries(capabilities).map(([entity, caps]) => {
    const lines = Object.entries(caps).map(([service, cap]) => `caps ${service} = "${cap}"\n`)
    return `[${entity}]\nkey = ${newKey()}\n${lines.join('')}`
  })
  return entries.join('')
}

/** Ceph's own form of a key: type, creation time, length, 16 random bytes. */
function newKey(): string {
  const head = Buffer.alloc(12)
  head.writeUInt16LE(1, 0)
  head.writeUInt32LE(Math.floor(Date.now() / 1000), 2)
  head.writeUInt16LE(16, 10)
  return Buffer.concat([head, randomBytes(16)]).toString('base64')
}

async function makeUser(
  configFile: string,
  keys: { readonly accessKeyId: string; readonly secretAccessKey: string },
): Promise<void> {
  const name = ['--uid', 'tests', '--display-name', 'tests']
  const secrets = ['--access-key', keys.accessKeyId, '--secret', keys.secretAccessKey]
  await cephAdmin({ configFile }, ['user', 'create', ...name, ...secrets])
}

async function responses(endpoint: string, gateway: Daemon): Promise<void> {
  const until = Date.now() + READY_MS
  for (;;) {
    const response = await fetch(endpoint, { signal: AbortSignal.timeout(5000) }).catch(() => null)
    await response?.body?.cancel()
    if (response) return
    if (!gateway.running()) throw new Error('the gateway ended')
    if (Date.now() > until) throw new Error('the gateway does not answer')
    await sleep(50)
  }
}
