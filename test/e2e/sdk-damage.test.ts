import { readdir, readFile, stat, symlink, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from 'vitest'

import { parseLink } from '../../src/client/link.ts'
import type { CompleteItem, Manifest } from '../../src/client/manifest/manifest.ts'
import { openManifest, sealManifest } from '../../src/client/manifest/manifest-codec.ts'
import { isSealiftError } from '../../src/protocol/errors.ts'
import { toBase64Url } from '../../src/client/bytes/base64url.ts'
import type { NodeSealift } from '../../src/client/node/index.ts'
import { nodeSuite as suite } from '../../src/sealing/node-suite.ts'
import { localAuth } from '../support/local-token.ts'
import { clientIn, content, digest, digests, MemorySink, only } from '../support/sdk.ts'
import { storedMedia, type StoredBytes } from '../support/stored-bytes.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

const KIB = 1024
const CHUNK = 256 * KIB

let server: TestServer
let home: TempDirectory
let sealift: NodeSealift

beforeEach(async () => {
  server = await startTestServer()
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: server.url, retry: { baseMs: 10, capMs: 20, patienceMs: 300 } })
})

afterEach(async () => {
  await sealift[Symbol.asyncDispose]()
  await server.stop()
  await home[Symbol.asyncDispose]()
})

const GOOD = { 'good small': 1000, 'good large': 700 * KIB }
const good = (): Record<string, string> =>
  Object.fromEntries(Object.entries(GOOD).map(([name, size]) => [name, digest(content(name, size))]))

/** Sends good items and one that will be spoilt; gives the link and where the server keeps the bad one. */
async function sendWithVictim(size: number): Promise<{ link: string; stored: StoredBytes }> {
  const before = new Set((await storedMedia(server.live.current)).map(({ name }) => name))
  const victim = await sealift.send([{ name: 'victim', source: content('victim', size) }])
  const [stored] = (await storedMedia(server.live.current)).filter(({ name }) => !before.has(name))
  if (!stored) throw new Error('The server has stored nothing')
  const others = await sealift.send(
    Object.entries(GOOD).map(([name, bytes]) => ({ name, source: content(name, bytes) })),
  )
  const items = [...(await itemsOf(victim.link)), ...(await itemsOf(others.link))]
  return { link: await publish(items), stored }
}

async function itemsOf(link: string): Promise<CompleteItem[]> {
  const { parcelId, key } = parseLink(link)
  const response = await fetch(`${server.url}/v1/parcels/${parcelId}`)
  const { items } = await openManifest(new Uint8Array(await response.arrayBuffer()), { suite, key })
  return items.filter(item => item.state === 'complete')
}

/** Publishes what a sender of ours would never write. */
async function publish(items: readonly object[]): Promise<string> {
  const key = suite.randomBytes(32)
  const manifest = { v: 1, createdAt: new Date().toISOString(), items } as unknown as Manifest
  const body = JSON.stringify({ manifest: toBase64Url(await sealManifest(manifest, { suite, key })), media: [] })
  const headers = { ...localAuth(server.url), 'content-type': 'application/json', 'sealift-owner': 'o'.repeat(43) }
  const response = await fetch(`${server.url}/v1/parcels`, { method: 'POST', headers, body })
  const { parcelId } = (await response.json()) as { parcelId: string }
  return `${server.url}/p/${parcelId}#${toBase64Url(key)}`
}

/** What a receive leaves: which items failed and with which code, and the files that are there. */
async function receiveAll(link: string): Promise<{ failed: string[]; codes: string[]; files: Record<string, string> }> {
  const into = join(home.path, 'in')
  const { items } = await sealift.receive(link, { directory: into })
  const failed = items.filter(item => item.error !== null)
  const codes = failed.map(({ error }) => (isSealiftError(error) ? error.code : String(error)))
  return { failed: failed.map(({ item }) => item.name), codes, files: await digests(into) }
}

/** The victim is refused, nothing of it is left, and the others are there. */
const refused = (...codes: string[]): object => ({
  failed: ['victim'],
  codes: [expect.toSatisfy((code: string) => codes.includes(code))],
  files: good(),
})

type Spoil = (sealed: Buffer) => Buffer

const flip =
  (at: (length: number) => number): Spoil =>
  sealed => {
    const place = at(sealed.byteLength)
    sealed[place] = (sealed[place] ?? 0) ^ 1
    return sealed
  }

const chunkAt = (sealed: Buffer, index: number): Buffer => sealed.subarray(index * CHUNK, (index + 1) * CHUNK)

const SPOILS: readonly (readonly [string, Spoil])[] = [
  ['a flipped bit in the header', flip(() => 5)],
  ['a flipped bit in the nonce prefix', flip(() => 36)],
  ['a flipped bit in the first chunk', flip(() => 100)],
  ['a flipped bit in the middle', flip(length => length >> 1)],
  ['a flipped bit in the last tag', flip(length => length - 1)],
  [
    'two chunks swapped',
    sealed => {
      const first = Buffer.from(chunkAt(sealed, 1))
      chunkAt(sealed, 2).copy(sealed, CHUNK)
      first.copy(sealed, 2 * CHUNK)
      return sealed
    },
  ],
  [
    'a chunk doubled over the next',
    sealed => {
      chunkAt(sealed, 1).copy(sealed, 2 * CHUNK)
      return sealed
    },
  ],
  ['a chunk dropped', sealed => Buffer.concat([sealed.subarray(0, CHUNK), sealed.subarray(2 * CHUNK)])],
  ['the last chunk cut off', sealed => sealed.subarray(0, 3 * CHUNK)],
  ['one byte cut off', sealed => sealed.subarray(0, -1)],
  ['everything as zeros', sealed => Buffer.alloc(sealed.byteLength)],
]

test.each(SPOILS)('an item with %s is refused, and the others are delivered', async (_, spoil) => {
  const { link, stored } = await sendWithVictim(1_000_000)
  await stored.write(spoil(await stored.read()))
  expect(await receiveAll(link)).toEqual(refused('damaged_media', 'damaged'))
})

test('an item with the media of another item is refused', async () => {
  const victim = await sealift.send([{ name: 'victim', source: content('victim', 1000) }])
  const other = await sealift.send([{ name: 'other', source: content('other', 1000) }])
  const [bad] = await itemsOf(victim.link)
  const [swap] = await itemsOf(other.link)
  const others = await sealift.send(
    Object.entries(GOOD).map(([name, bytes]) => ({ name, source: content(name, bytes) })),
  )
  const link = await publish([{ ...bad, media: swap?.media }, ...(await itemsOf(others.link))])
  expect(await receiveAll(link)).toEqual(refused('damaged_media'))
})

describe('a manifest that lies', () => {
  const B32 = toBase64Url(new Uint8Array(32))

  test.each([
    ['about the key', { key: B32 }],
    ['about the commitment', { commit: B32 }],
    ['about the sealed length, by much', { sealedBytes: 2 ** 50 }],
    ['about the sealed length, by one', { sealedBytes: 1_029_000 }],
    ['about the size of chunks', { chunkBytes: 128 * KIB }],
    ['about the true length: too long', { bytes: 2 ** 40 }],
    ['about the true length: too short', { bytes: 999_999 }],
    ['about where the bytes are', { media: 'a'.repeat(26) }],
  ])('%s delivers nothing of that item', async (_, lie) => {
    const { link } = await sendWithVictim(1_000_000)
    const [victim, ...others] = await itemsOf(link)
    expect(await receiveAll(await publish([{ ...victim, ...lie }, ...others]))).toEqual(
      refused('damaged_media', 'not_found'),
    )
  })

  test('about a thumbnail shows none', async () => {
    const sent = await sealift.send([{ name: 'x', source: content('x', 10), thumbnail: content('t', 10) }])
    const [item] = await itemsOf(sent.link)
    const link = await publish([{ ...item, thumbnail: { ...item?.thumbnail, key: B32 } }])
    const parcel = await sealift.open(link)
    await expect(parcel.thumbnail(only(parcel))).rejects.toMatchObject({ code: 'damaged_media' })
    // A thumbnail's ciphertext is none of an item's: the roles are kept apart.
    const crossed = await sealift.open(await publish([{ ...item, ...item?.thumbnail, name: 'crossed' }]))
    await expect(crossed.download(only(crossed), new MemorySink())).rejects.toMatchObject({ code: 'damaged_media' })
  })

  test('of a newer version, or no manifest at all, is refused as what it is', async () => {
    const key = suite.randomBytes(32)
    const newer = { v: 2 } as unknown as Manifest
    const body = JSON.stringify({ manifest: toBase64Url(await sealManifest(newer, { suite, key })), media: [] })
    const headers = { ...localAuth(server.url), 'content-type': 'application/json', 'sealift-owner': 'o'.repeat(43) }
    const response = await fetch(`${server.url}/v1/parcels`, { method: 'POST', headers, body })
    const { parcelId } = (await response.json()) as { parcelId: string }
    const link = `${server.url}/p/${parcelId}#${toBase64Url(key)}`
    await expect(sealift.open(link)).rejects.toMatchObject({ code: 'unsupported_version' })
  })
})

describe('names from a manifest', () => {
  test('never lead out of the folder, nor through a link out of it, nor over a file', async () => {
    const into = join(home.path, 'in')
    const outside = join(home.path, 'outside')
    await mkdir(into)
    await mkdir(outside)
    await symlink(outside, join(into, 'link'))
    await symlink(join(outside, 'target'), join(into, 'dangling'))
    await writeFile(join(into, 'mine.txt'), 'mine')
    const names = ['link/a.txt', 'link', 'dangling', 'mine.txt', 'MINE.txt', '../outside/b.txt', 'mine.txt/c', '..']
    const sent = await sealift.send(names.map(name => ({ name, source: content(name, 20) })))
    const received = await sealift.receive(sent.link, { directory: into })
    expect(received.complete).toBe(true)
    expect(await readdir(outside)).toEqual([])
    expect(await readFile(join(into, 'mine.txt'), 'utf8')).toBe('mine')
    for (const { item, path } of received.items) {
      expect(path?.startsWith(`${into}/`)).toBe(true)
      expect(digest(await readFile(path ?? ''))).toBe(digest(content(item.name, 20)))
      expect((await stat(path ?? '')).isFile()).toBe(true)
    }
  })
})

test('a token is never sent to the server of a foreign link', async () => {
  const seen: (string | undefined)[] = []
  const sent = await sealift.send([{ name: 'x', source: content('x', 10) }])
  await using foreign = await startTestServer()
  await using client = clientIn(home.path, {
    server: foreign.url,
    token: 'secret-token',
    transport: {
      request: request => {
        seen.push(request.headers['authorization'])
        return Promise.reject(new Error('not sent'))
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    },
  })
  await expect(client.open(sent.link)).rejects.toThrow('not sent')
  await expect(client.limits()).rejects.toThrow('not sent')
  expect(seen).toEqual([undefined, 'Bearer secret-token'])
})
