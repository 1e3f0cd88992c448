import { defaultStateDirectory } from '../../client/node/state/state-directory.ts'
import type { ServerConfig } from '../../server/config/schema.ts'
import type { CliIo, Output } from '../cli-io.ts'
import { explain } from '../explain.ts'
import { LocalTokenWriter } from './local-token-writer.ts'

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
