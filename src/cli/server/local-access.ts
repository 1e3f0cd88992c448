import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, lstat, open, readFile, rename, rm } from 'node:fs/promises'

import { defaultStateDirectory } from '../../client/node/state/state-directory.ts'
import { type ServerConfig, hashToken, newToken } from '../../server/index.ts'
import type { CliIo, Output } from '../cli-io.ts'
import { explain } from '../error-text.ts'
import { localError } from '../../client/node/files/local-error.ts'
import { localTokenFile, localTokenFolder, localTokenHeader } from '../../client/node/state/local-credential.ts'
import { makeFolder } from '../../files/make-folder.ts'
import { systemCode } from '../../files/system-failure.ts'
import { SealiftError } from '../../protocol/errors.ts'

/**
 * The local token of a server that runs, for people: a file that cannot be written is said, and the server goes on
 * without one. The token itself is never printed, because what a server prints is often kept in a log.
 */
export class LocalAccess implements AsyncDisposable {
  readonly #output: Output
  readonly #writer: LocalTokenWriter

  constructor(output: Output, env: CliIo['env']) {
    this.#output = output
    this.#writer = new LocalTokenWriter(defaultStateDirectory(env))
  }

  get sha256(): string {
    return this.#writer.sha256
  }

  /** @returns where the token is; `null` when there is none */
  async follow(url: string, { access }: Pick<ServerConfig, 'access'>): Promise<string | null> {
    try {
      return await this.#writer.follow(url, access.openMode)
    } catch (error) {
      this.#output.warn(
        `warning: access.openMode is loopback, but no token could be given to this user, so requests without a token of their own may only read by link. ${explain(error).message}. Set XDG_STATE_HOME to a folder that this user can write, or make tokens with \`sealift config token\`.`,
      )
      return null
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writer[Symbol.asyncDispose]()
  }
}

const PRIVATE_FOLDER = 0o700
const PRIVATE_FILE = 0o600
const ALL_BITS = 0o777

/**
 * Makes the token of one run of a server, and keeps its file while the open mode is `loopback`. A new token with each
 * start: a token in the file of a killed server gives no access, whichever program listens on that port next.
 */
export class LocalTokenWriter implements AsyncDisposable {
  /** SHA-256 (hex): all that the server needs. */
  readonly sha256: string
  readonly #token = newToken()
  readonly #stateDirectory: string
  #written: string | null = null
  #last: Promise<unknown> = Promise.resolve()

  constructor(stateDirectory: string) {
    this.#stateDirectory = stateDirectory
    this.sha256 = hashToken(this.#token)
  }

  /**
   * Writes the file of the server at `url`, or removes it, as the open mode says.
   * @returns its path, `null` when there is none
   * @throws local_file
   */
  follow(url: string, openMode: ServerConfig['access']['openMode']): Promise<string | null> {
    const following = this.#last.then(() => (openMode === 'loopback' ? this.#write(url) : this.#remove()))
    this.#last = following.catch(() => undefined)
    return following
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last
    await this.#remove()
  }

  async #write(url: string): Promise<string | null> {
    const path = localTokenFile(this.#stateDirectory, url)
    if (path === null || path === this.#written) return path
    await ensurePrivateFolder(localTokenFolder(this.#stateDirectory))
    await replaceFile(path, localTokenHeader(this.#token))
    this.#written = path
    return path
  }

  /** Only a file that is still this server's. */
  async #remove(): Promise<null> {
    const path = this.#written
    this.#written = null
    const content = path === null ? null : await readFile(path, 'utf8').catch(() => null)
    if (path !== null && content === localTokenHeader(this.#token)) await rm(path, { force: true }).catch(() => {})
    return null
  }
}

/** Refuses what another user could change, or what leads elsewhere. */
async function ensurePrivateFolder(folder: string): Promise<void> {
  try {
    await makeFolder(folder, PRIVATE_FOLDER)
    const found = await lstat(folder)
    const user = process.getuid?.() ?? found.uid
    if (!found.isDirectory() || found.uid !== user) {
      const message = 'The folder of local tokens is no folder of this user'
      throw new SealiftError('local_file', message, { context: { path: folder } })
    }
    if (user !== undefined && (found.mode & ALL_BITS) !== PRIVATE_FOLDER) await chmod(folder, PRIVATE_FOLDER)
  } catch (error) {
    throw localError('The state directory cannot be used', folder, error)
  }
}

/**
 * The file has its mode before it has its content, and its name after both: no other user can read it at any moment.
 */
async function replaceFile(path: string, content: string): Promise<void> {
  const draft = `${path}.${randomUUID()}`
  try {
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | (constants.O_NOFOLLOW ?? 0)
    {
      await using handle = await open(draft, flags, PRIVATE_FILE)
      await handle.chmod(PRIVATE_FILE)
      await handle.writeFile(content)
    }
    await rename(draft, path)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') await rm(draft, { force: true }).catch(() => {})
    throw localError('The file of the local token cannot be written', path, error)
  }
}
