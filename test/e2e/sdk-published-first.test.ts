/** What becomes of a parcel that is published before its bytes are there, when its sender ends and another goes on. */
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

import { isSealiftError } from '../../src/client/node/index.ts'
import type { NodeSealift, NodeSealiftOptions } from '../../src/client/node/index.ts'
import { undiciTransport } from '../../src/client/node/transport/undici-transport.ts'
import type { Transport, TransportRequest } from '../../src/client/transport/transport.ts'
import { lateTransport } from '../support/late-transport.ts'
import { clientIn, content, digest, digests, streamed, writeFiles } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const MIB = 1024 * 1024

let server: TestServer
let home: TempDirectory

beforeAll(async () => {
  server = await startTestServer({ transfer: { partBytes: '1MiB' } })
})

afterAll(() => server.stop())

beforeEach(async () => {
  home = await tempDirectory()
})

afterEach(() => home[Symbol.asyncDispose]())

const client = (options: NodeSealiftOptions = {}): NodeSealift =>
  clientIn(home.path, { server: server.url, ...options })

const isVersion = ({ method, url }: TransportRequest): boolean => method === 'PUT' && url.endsWith('/manifest')
const isLastPart = ({ method, url }: TransportRequest): boolean => method === 'PUT' && url.endsWith('/parts/9')

/** Files old enough for their times to prove something. */
async function files(sizes: Readonly<Record<string, number>>): Promise<{ path: string; name: string }[]> {
  const from = join(home.path, 'from')
  await mkdir(from)
  const written = await writeFiles(from, sizes)
  await pause(150)
  return written
}

async function received(link: string): Promise<Record<string, string>> {
  const into = join(home.path, 'in')
  await using sealift = client()
  const { complete } = await sealift.receive(link, { directory: into })
  expect(complete).toBe(true)
  return digests(into)
}

/**
 * Does `act` when the server has responded to the first request that `which` accepts, before the client sees the
 * response.
 */
function atResponse(which: (request: TransportRequest) => boolean, act: () => Promise<void> | void): Transport {
  const inner = undiciTransport({ connections: 16 })
  let done = false
  return {
    async request(request) {
      const response = await inner.request(request)
      if (!done && which(request)) {
        done = true
        await act()
      }
      return response
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
}

test('a version that an ended sender had in flight does not stop the one that goes on', async () => {
  const items = await files({ film: 9 * MIB, photo: 2000 })
  const stop = new AbortController()
  const late = lateTransport(isVersion)
  await using first = client({ transport: late })
  const sending = first.sendFiles(items, { publishFirst: true, signal: stop.signal })
  await Promise.race([late.held, sending])
  stop.abort()
  await expect(sending).rejects.toMatchObject({ code: 'aborted' })
  // The next sender reads the parcel; then the old version arrives.
  const isRead = ({ method, url }: TransportRequest): boolean => method === 'GET' && url.includes('/parcels/')
  await using second = client({ transport: atResponse(isRead, () => late.land()) })
  const sent = await second.sendFiles(items, { publishFirst: true })
  expect(sent.resumed).toBe(true)
  expect(await received(sent.link)).toEqual({
    film: digest(content('film', 9 * MIB)),
    photo: digest(content('photo', 2000)),
  })
})

test('a send that begins an item anew, and is ended again, can still be gone on with', async () => {
  const items = await files({ film: 10 * MIB })
  const [film] = items
  const links: string[] = []
  const outcomes: unknown[] = []
  const sizes = [10 * MIB, 9.8 * MIB, 9.7 * MIB]
  for (const [round, size] of sizes.entries()) {
    const bytes = content(`film ${round}`, size)
    await writeFile(film?.path ?? '', bytes)
    await pause(150)
    const stop = new AbortController()
    // Only once a version names the media that is sent now, and before it is whole.
    const transport = round < 2 ? atResponse(isVersion, () => stop.abort()) : undiciTransport({ connections: 16 })
    await using sealift = client({ transport: round < 2 ? held(transport) : transport })
    const sending = sealift.sendFiles(items, {
      publishFirst: true,
      signal: stop.signal,
      onPublished: ({ link }) => links.push(link),
    })
    outcomes.push(
      await sending.then(
        () => 'sent',
        (error: unknown) => (isSealiftError(error) ? error.code : error),
      ),
    )
  }
  expect(outcomes).toEqual(['aborted', 'aborted', 'sent'])
  expect(new Set(links).size).toBe(1)
  expect(await received(links[0] ?? '')).toEqual({ film: digest(content('film 2', 9.7 * MIB)) })
})

/** Never sends the last part. */
function held(inner: Transport): Transport {
  return {
    request: async request => {
      if (!isLastPart(request)) return inner.request(request)
      await new Promise((_, reject) => request.signal.addEventListener('abort', () => reject(new Error('aborted'))))
      return inner.request(request)
    },
    [Symbol.asyncDispose]: () => inner[Symbol.asyncDispose](),
  }
}

test('a stream whose length nobody knows is followed into a folder, runs of zeros included', async () => {
  const bytes = content('live', 9 * MIB)
  bytes.fill(0, 300_000, 2 * MIB)
  bytes.fill(0, 9 * MIB - 70_000)
  const go = Promise.withResolvers<void>()
  const published = Promise.withResolvers<string>()
  await using sealift = client()
  const whole = streamed(bytes, 100_000).getReader()
  let given = 0
  const source = new ReadableStream<Uint8Array>({
    async pull(controller) {
      if (given > 5 * MIB) await go.promise
      const { done, value } = await whole.read()
      if (done) return controller.close()
      given += value.byteLength
      controller.enqueue(value)
    },
  })
  const sending = sealift.send([{ name: 'live', source }], {
    publishFirst: true,
    onPublished: ({ link }) => published.resolve(link),
  })
  const into = join(home.path, 'in')
  const seen: number[] = []
  const receiving = sealift.receive(await published.promise, {
    directory: into,
    onProgress: progress => void seen.push(progress.bytes),
  })
  await expect.poll(() => partialBytes(into), { timeout: 20_000 }).toBeGreaterThan(3 * MIB)
  go.resolve()
  await sending
  const { items } = await receiving
  expect(items.map(({ error }) => error)).toEqual([null])
  expect(await digests(into)).toEqual({ live: digest(bytes) })
  expect(seen.at(-1)).toBe(bytes.byteLength)
})

/** Bytes of the item that is being received into a folder. */
async function partialBytes(directory: string): Promise<number> {
  const names = await readdir(directory).catch(() => [])
  const partial = names.find(name => name.endsWith('.sealift-part'))
  return partial ? (await stat(join(directory, partial))).size : 0
}
