import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { join } from 'node:path'

import type { ServerCredential, SentToken } from '../../wire/credential.ts'
import { unless } from '../files/local-error.ts'

/**
 * The credential of a server on this machine whose user runs this process. The token changes with each start of the
 * server, so a refusal makes it read the file again. A file that a killed server left behind is tried once.
 */
export class LocalCredential implements ServerCredential {
  readonly #stateDirectory: string
  readonly #bases: readonly string[]
  #found: SentToken | null = null
  readonly #refused = new Set<string>()

  private constructor(stateDirectory: string, bases: readonly string[]) {
    this.#stateDirectory = stateDirectory
    this.#bases = bases
  }

  /** `null` when the server is not on this machine. */
  static for(stateDirectory: string, server: string): LocalCredential | null {
    const bases = literalBases(server).filter(base => localTokenFile(stateDirectory, base) !== null)
    return bases.length === 0 ? null : new LocalCredential(stateDirectory, bases)
  }

  current(): SentToken | Promise<SentToken | null> {
    return this.#found ?? this.#look()
  }

  async instead({ token }: SentToken): Promise<SentToken | null> {
    this.#refused.add(token)
    if (this.#found?.token === token) this.#found = null
    return this.current()
  }

  async #look(): Promise<SentToken | null> {
    this.#found = await this.#find()
    return this.#found
  }

  async #find(): Promise<SentToken | null> {
    for (const base of this.#bases) {
      const file = localTokenFile(this.#stateDirectory, base)
      const token = file && (await readLocalToken(file))
      if (token && !this.#refused.has(token)) return { token, base }
    }
    return null
  }
}

/**
 * `localhost` may be 127.0.0.1 or ::1, and another user may listen on the other one: a token is sent only to the
 * address that its file is named after.
 */
function literalBases(server: string): string[] {
  const url = new URL(server)
  if (url.hostname !== 'localhost') return [server]
  return ['127.0.0.1', '[::1]'].map(hostname => server.replace('//localhost', `//${hostname}`))
}

/**
 * The token by which a server on this machine knows its own user. `sealift serve` writes it to a file that only that
 * user can read: one line, `Authorization: Bearer TOKEN`, as `curl -H @FILE` takes it. The name of the file is the
 * address and port of the server, because another user may listen on the same port of another loopback address.
 */
const FOLDER = 'servers'
const MAX_FILE_BYTES = 1024
const CONTENT = /^Authorization: Bearer ([\w.~+/-]{22,512})\n$/
const GROUP_AND_OTHERS = 0o077

/** The folder of these files inside a state directory. */
export function localTokenFolder(stateDirectory: string): string {
  return join(stateDirectory, FOLDER)
}

/** Where the token of a server is; `null` when its address is no literal loopback one, or not plain http. */
export function localTokenFile(stateDirectory: string, server: string): string | null {
  const { protocol, hostname, port } = new URL(server)
  if (protocol !== 'http:' || !/^(127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)) return null
  const address = hostname === '[::1]' ? 'ipv6-loopback' : hostname
  return join(localTokenFolder(stateDirectory), `${address}-${port || '80'}.header`)
}

/** What the file of a token holds. */
export function localTokenHeader(token: string): string {
  return `Authorization: Bearer ${token}\n`
}

/** `null` when there is no such file, or when another user owns it or could read it. */
export async function readLocalToken(file: string): Promise<string | null> {
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
  const handle = await unless(open(file, flags), 'ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP')
  if (handle === null) return null
  await using _ = handle
  return (await isPrivate(handle)) ? (CONTENT.exec(await handle.readFile('utf8'))?.[1] ?? null) : null
}

async function isPrivate(handle: FileHandle): Promise<boolean> {
  const { uid, mode, size, isFile } = await statOf(handle)
  if (!isFile || size > MAX_FILE_BYTES) return false
  // Where users have no numbers (Windows), a user's own folder is closed to others by the system.
  const user = process.getuid?.()
  return user === undefined || (uid === user && (mode & GROUP_AND_OTHERS) === 0)
}

async function statOf(handle: FileHandle): Promise<{ uid: number; mode: number; size: number; isFile: boolean }> {
  const found = await handle.stat()
  return { uid: found.uid, mode: found.mode, size: found.size, isFile: found.isFile() }
}
