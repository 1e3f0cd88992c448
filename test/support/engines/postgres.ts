/**
 * PostgreSQL from Debian's package, in a folder of its own on a free port of loopback. It syncs every commit, as in
 * production; nothing else of it is tuned but its size.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, readdirSync, readFileSync } from 'node:fs'
import { chown, chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Client } from 'pg'

import { freshId } from '../blob-bytes.ts'
import type { Engine, RunningEngine } from './engine.ts'
import { freePort } from './free-port.ts'

export interface PostgresFacts {
  /** A superuser's, of the database `postgres`: to make databases with. */
  readonly url: string
}

export interface RunningPostgres extends RunningEngine<PostgresFacts> {
  /**
   * Ends it and starts it again on the same port with the same data. `immediate` is a crash: connections are cut where
   * they are, and the log is replayed.
   */
  restart(how: 'immediate' | 'fast'): Promise<void>
  /** Ends it, until `start`. */
  stop(how: 'immediate' | 'fast'): Promise<void>
  start(): Promise<void>
  /** Every process of it is idle: connections stay open and nobody responses. */
  pause(): void
  resume(): void
}

export interface TestDatabase extends AsyncDisposable {
  readonly url: string
  /** A connection beside those of the program under test; end it when done. */
  connect(): Promise<Client>
}

const SUPERUSER = { name: 'postgres', password: 'a-password-of-tests' }
const START_MS = 30_000
/** `nobody` of Debian. */
const UNPRIVILEGED = { uid: 65_534, gid: 65_534 }

const SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '16MB',
  fsync: 'on',
  synchronous_commit: 'on',
  log_min_messages: 'fatal',
}

export const postgresEngine: Engine<PostgresFacts> = { name: 'postgres', start: startPostgres }

/** The folder of the newest PostgreSQL installed, or `null`. */
export function postgresPrograms(): string | null {
  const root = '/usr/lib/postgresql'
  try {
    const versions = readdirSync(root).sort((left, right) => Number(right) - Number(left))
    const [found] = versions.map(version => join(root, version, 'bin')).filter(holdsServer)
    return found ?? null
  } catch {
    return null
  }
}

function holdsServer(folder: string): boolean {
  try {
    for (const program of ['postgres', 'initdb']) accessSync(join(folder, program), constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Starts one of its own; disposing it removes everything. */
export async function startPostgres(): Promise<RunningPostgres> {
  const programs = postgresPrograms()
  if (programs === null) throw new Error('PostgreSQL is not installed (Debian: postgresql)')
  const folder = await ownFolder()
  try {
    await initialise(programs, folder)
    const server = new Server({ programs, folder, port: await freePort() })
    await server.start()
    return server
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** An empty database of its own for a test file; disposing drops it, whoever is still connected. */
export async function createDatabase(facts: PostgresFacts): Promise<TestDatabase> {
  const name = `test_${freshId()}`
  await administer(facts, `create database ${name}`)
  const url = new URL(facts.url)
  url.pathname = `/${name}`
  return {
    url: url.href,
    connect: () => connect(url.href),
    [Symbol.asyncDispose]: () => administer(facts, `drop database ${name} with (force)`),
  }
}

async function connect(url: string): Promise<Client> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  return client
}

async function administer({ url }: PostgresFacts, statement: string): Promise<void> {
  const client = await connect(url)
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}

/** PostgreSQL refuses to run as root. */
const account = () => (process.getuid?.() === 0 ? UNPRIVILEGED : {})

async function ownFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'sealift-postgres-'))
  const { uid, gid } = { ...account() } as Partial<typeof UNPRIVILEGED>
  if (uid !== undefined && gid !== undefined) await chown(folder, uid, gid)
  return folder
}

async function initialise(programs: string, folder: string): Promise<void> {
  const passwordFile = join(folder, 'password')
  await writeFile(passwordFile, SUPERUSER.password)
  await chmod(passwordFile, 0o644)
  const options = ['--username', SUPERUSER.name, '--pwfile', passwordFile, '--auth', 'scram-sha-256', '--no-sync']
  const where = ['--pgdata', join(folder, 'data'), '--encoding', 'UTF8', '--locale', 'C.UTF-8']
  const child = spawn(join(programs, 'initdb'), [...options, ...where], { ...account(), stdio: 'ignore', cwd: folder })
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`initdb ended with ${code}`)
}

interface Place {
  readonly programs: string
  readonly folder: string
  readonly port: number
}

class Server implements RunningPostgres {
  readonly facts: PostgresFacts
  readonly #place: Place
  #child: ChildProcess | null = null

  constructor(place: Place) {
    this.#place = place
    this.facts = { url: `postgres://${SUPERUSER.name}:${SUPERUSER.password}@127.0.0.1:${place.port}/postgres` }
  }

  async start(): Promise<void> {
    const { programs, folder, port } = this.#place
    const settings = Object.entries({ ...SETTINGS, port: String(port) }).flatMap(([name, value]) => [
      '-c',
      `${name}=${value}`,
    ])
    const child = spawn(join(programs, 'postgres'), ['-D', join(folder, 'data'), ...settings], {
      ...account(),
      cwd: folder,
      stdio: 'ignore',
    })
    this.#child = child
    await this.#ready(child)
  }

  async stop(how: 'immediate' | 'fast'): Promise<void> {
    const child = this.#child
    this.#child = null
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill(how === 'immediate' ? 'SIGQUIT' : 'SIGINT')
    await exited
  }

  async restart(how: 'immediate' | 'fast'): Promise<void> {
    await this.stop(how)
    await this.start()
  }

  pause(): void {
    // The one that starts others first, so that nobody is missed.
    for (const pid of [...this.#ownPid(), ...this.#workers()]) signal(pid, 'SIGSTOP')
  }

  resume(): void {
    for (const pid of [...this.#workers(), ...this.#ownPid()]) signal(pid, 'SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child) this.resume()
    await this.stop('immediate')
    await rm(this.#place.folder, { recursive: true, force: true })
  }

  #ownPid(): readonly number[] {
    return this.#child?.pid === undefined ? [] : [this.#child.pid]
  }

  #workers(): readonly number[] {
    const [parent] = this.#ownPid()
    if (parent === undefined) return []
    return readdirSync('/proc')
      .map(Number)
      .filter(pid => pid > 0 && parentOf(pid) === parent)
  }

  async #ready(child: ChildProcess): Promise<void> {
    const deadline = performance.now() + START_MS
    for (;;) {
      if (child.exitCode !== null) throw new Error(`PostgreSQL ended with ${child.exitCode} when it was started`)
      const responded = await administer(this.facts, 'select 1').then(
        () => true,
        () => false,
      )
      if (responded) return
      if (performance.now() > deadline) throw new Error('PostgreSQL does not answer')
      await new Promise(resolve => {
        setTimeout(resolve, 50)
      })
    }
  }
}

/** A worker may have ended since it was found. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}

/** The fourth field of `/proc/<pid>/stat`; the second, the name, may hold anything. */
function parentOf(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return null
  }
}
