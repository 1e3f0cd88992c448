import { randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { chmod, lstat, open, readFile, rename, rm } from 'node:fs/promises'

import { localError } from '../../client/node/files/local-error.ts'
import { localTokenFile, localTokenFolder, localTokenHeader } from '../../client/node/state/local-credential.ts'
import { makeFolder } from '../../files/make-folder.ts'
import { systemCode } from '../../files/system-failure.ts'
import { SealiftError } from '../../protocol/errors.ts'
import { hashToken, newToken } from '../../server/access/tokens.ts'
import type { ServerConfig } from '../../server/config/schema.ts'

const PRIVATE_FOLDER = 0o700
const PRIVATE_FILE = 0o600
const ALL_BITS = 0o777

/**
 * Makes the token of one run of a server, and keeps its file while the open mode is `loopback`. A new token with each
 * start: one that a killed server left in a file opens nothing, whoever listens on that port next.
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

/** The file has its mode before it has its content, and its name after both: no other user can read it at any moment. */
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
