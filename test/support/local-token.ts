/**
 * How tests prove to a server that they are its own user, as the command and the SDK of that user do. Servers in a test
 * process share one token; `sealift serve` makes its own, which `startServe` and `startServerProcess` read from its
 * file.
 */
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { defaultStateDirectory } from '../../src/client/node/state/state-directory.ts'
import { localTokenFile, localTokenHeader } from '../../src/client/node/state/local-credential.ts'
import { hashToken } from '../../src/server/index.ts'

/** Of every server that `startTestServer` starts. */
export const LOCAL_TOKEN = 'sealift_the-local-token-of-servers-in-a-test-process'

export const LOCAL_TOKEN_SHA256 = hashToken(LOCAL_TOKEN)

/** Nodes behind a balancer have a token each, and no user's file names the balancer: they are no default server. */
export const OPEN_NODES = { access: { openMode: 'everywhere' } }

const ownTokens = new Map<string, string | null>()

/**
 * The token for a server, or for a proxy before a server of this process. `null`: it is open to requests without one.
 */
export function localTokenOf(url: string): string | null {
  const own = ownTokens.get(new URL(url).origin)
  return own === undefined ? LOCAL_TOKEN : own
}

/** What `localTokenOf` says of a server that made its own token, or needs none. */
export function useLocalToken(url: string, token: string | null): void {
  ownTokens.set(new URL(url).origin, token)
}

/** The header that a bare request to this server carries. */
export function localAuth(url: string): { readonly authorization?: string } {
  const token = localTokenOf(url)
  return token === null ? {} : { authorization: `Bearer ${token}` }
}

/** What a command needs beside `SEALIFT_SERVER` when its state directory is not that of the server. */
export function localEnv(url: string): { readonly SEALIFT_TOKEN?: string } {
  const token = localTokenOf(url)
  return token === null ? {} : { SEALIFT_TOKEN: token }
}

/**
 * Leaves the file that a server of this process would have, were it `sealift serve`. @param stateHome
 * `XDG_STATE_HOME`
 */
export async function leaveLocalToken(stateHome: string, url: string): Promise<string> {
  const file = localTokenFile(join(stateHome, 'sealift'), url)
  if (file === null) throw new Error('This server is not on loopback')
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  await writeFile(file, localTokenHeader(LOCAL_TOKEN), { mode: 0o600 })
  return file
}

/** Reads the token that `sealift serve` wrote when it told `url`; `null` when its open mode is another one. */
export function readServeToken(url: string): string | null {
  const file = localTokenFile(defaultStateDirectory(), url)
  try {
    return /^Authorization: Bearer (\S+)\n$/.exec(readFileSync(file ?? '', 'utf8'))?.[1] ?? null
  } catch {
    return null
  }
}
