import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

import { afterEach, beforeEach, expect, test, vi } from 'vitest'

import { createSealift } from '../../../src/client/node/index.ts'
import { localTokenFile, localTokenHeader, readLocalToken } from '../../../src/client/node/state/local-credential.ts'
import type { Transport } from '../../../src/client/transport/transport.ts'
import { tempDirectory, type TempDirectory } from '../../support/temp-directory.ts'

const TOKEN = 'sealift_a-token-of-this-user-alone'
const SERVER = 'http://127.0.0.1:7325'
let home: TempDirectory
beforeEach(async () => {
  home = await tempDirectory()
  vi.stubEnv('XDG_STATE_HOME', home.path)
})
afterEach(async () => {
  vi.restoreAllMocks()
  vi.unstubAllEnvs()
  await home[Symbol.asyncDispose]()
})

async function leave(server: string, token = TOKEN, mode = 0o600): Promise<string> {
  const file = localTokenFile(join(home.path, 'sealift'), server)
  if (file === null) throw new Error(`${server} has no file`)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, localTokenHeader(token))
  await chmod(file, mode)
  return file
}

interface Seen {
  readonly origin: string
  readonly token: string | null
}

/** A server that takes `accepts` alone, or nothing but bare requests (`null`); what it saw of each request. */
function recorder(accepts: () => string | null): { transport: Transport; seen: Seen[] } {
  const seen: Seen[] = []
  return {
    seen,
    transport: {
      async request({ url, headers }) {
        const token = headers['authorization']?.replace('Bearer ', '') ?? null
        seen.push({ origin: new URL(url).origin, token })
        const status = token === accepts() ? 204 : 401
        return { status, header: () => null, body: (async function* () {})(), discard: async () => {} }
      },
      [Symbol.asyncDispose]: async () => {},
    },
  }
}

/** Asks that server for something; the response does not matter. */
async function ask(server: string, transport: Transport, options: { token?: string } = {}): Promise<void> {
  await using sealift = createSealift({ server, transport, ...options })
  await sealift.limits().catch(() => undefined)
}

test('goes to the address and port that its file is named after, and to no other', async () => {
  await leave(SERVER)
  const { transport, seen } = recorder(() => TOKEN)
  for (const server of [
    'http://127.0.0.1:7326',
    'http://127.0.0.2:7325',
    'http://[::1]:7325',
    'https://127.0.0.1:7325',
    'http://app.localhost:7325',
    'http://localhost.:7325',
    'http://media.example:7325',
    'http://0.0.0.0:7325',
  ])
    await ask(server, transport)
  expect(seen.map(({ token }) => token)).toEqual(Array.from({ length: 8 }, () => null))
  await ask(SERVER, transport)
  await ask(`${SERVER}/`, transport)
  expect(seen.slice(8)).toEqual([
    { origin: SERVER, token: TOKEN },
    { origin: SERVER, token: TOKEN },
  ])
})

test('localhost means the very address that has a file: another user may listen on the other one', async () => {
  await leave('http://[::1]:7325')
  const { transport, seen } = recorder(() => TOKEN)
  await ask('http://localhost:7325', transport)
  expect(seen).toEqual([{ origin: 'http://[::1]:7325', token: TOKEN }])
})

test('a token that is given is sent instead', async () => {
  await leave(SERVER)
  const { transport, seen } = recorder(() => TOKEN)
  await ask(SERVER, transport, { token: 'my-own' })
  expect(seen).toEqual([{ origin: SERVER, token: 'my-own' }])
})

test('one that is refused is read again once, and then left out', async () => {
  await leave(SERVER, TOKEN)
  let accepted: string | null = TOKEN
  const { transport, seen } = recorder(() => accepted)
  await using sealift = createSealift({ server: SERVER, transport })
  const limits = () => sealift.limits().catch(() => undefined)
  await limits()
  accepted = 'sealift_that-of-the-next-start-of-it'
  await leave(SERVER, accepted)
  await limits()
  await limits()
  // Another user's server, and a credential file that was never removed.
  accepted = null
  await limits()
  await limits()
  expect(seen.map(({ token }) => token)).toEqual([
    TOKEN,
    TOKEN,
    'sealift_that-of-the-next-start-of-it',
    'sealift_that-of-the-next-start-of-it',
    'sealift_that-of-the-next-start-of-it',
    null,
    null,
  ])
})

test.each([0o640, 0o604, 0o644, 0o666])('a file of mode %o is no secret of this user', async mode => {
  expect(await readLocalToken(await leave(SERVER, TOKEN, mode))).toBeNull()
})

test('nor is what is no file, a link, too large, of another form, or not there', async () => {
  const file = await leave(SERVER)
  expect(await readLocalToken(file)).toBe(TOKEN)
  const link = join(home.path, 'link')
  await symlink(file, link)
  expect(await readLocalToken(link)).toBeNull()
  expect(await readLocalToken(home.path)).toBeNull()
  for (const text of ['', TOKEN, `${localTokenHeader(TOKEN)}X-More: 1\n`, localTokenHeader('x'.repeat(2000))]) {
    await writeFile(file, text)
    expect(await readLocalToken(file), text).toBeNull()
  }
  await rm(file)
  expect(await readLocalToken(file)).toBeNull()
})

test('nor is a file of another user', async () => {
  const file = await leave(SERVER)
  vi.spyOn(process, 'getuid').mockReturnValue(65_533)
  expect(await readLocalToken(file)).toBeNull()
})
