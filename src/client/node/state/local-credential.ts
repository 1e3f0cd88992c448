import type { Credential, SentToken } from '../../wire/credential.ts'
import { localTokenFile, readLocalToken } from './local-token.ts'

/**
 * The credential of a server on this machine whose user runs this process. The token changes with each start of the
 * server, so a refusal makes it read the file again. A file that a killed server left behind is tried once.
 */
export class LocalCredential implements Credential {
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
 * `localhost` may be 127.0.0.1 or ::1, and another user may listen on the other one: a token is sent to the very address
 * that its file is named after.
 */
function literalBases(server: string): string[] {
  const url = new URL(server)
  if (url.hostname !== 'localhost') return [server]
  return ['127.0.0.1', '[::1]'].map(hostname => server.replace('//localhost', `//${hostname}`))
}
