import { afterEach, beforeEach, expect, test } from 'vitest'

import type { Film } from '../../src/client/index.ts'
import type { NodeSealift } from '../../src/client/node/index.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import type { FlakyProxy } from '../support/flaky-proxy.ts'
import { clientIn, content, digest, only } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const BYTES = 2_000_000
const CHUNK = 256 * 1024

let server: TestServer
let proxy: FlakyProxy
let home: TempDirectory
let sealift: NodeSealift
let film: Film

beforeEach(async () => {
  server = await startTestServer()
  proxy = await startFlakyProxy(server.url)
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: proxy.url })
  film = await openFilm()
})

afterEach(async () => {
  await sealift[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

const track = content('track', BYTES)

/** A film that lies in its item's own bytes. */
async function openFilm(): Promise<Film> {
  const description = {
    state: 'complete' as const,
    renditions: [
      { codecs: 'avc1.640028', bandwidth: 1, init: [0, 1000] as const, segments: [[1000, 999_000, 4]] as const },
    ],
  }
  const outgoing = { tracks: [], describe: () => structuredClone(description) as never }
  const item = { name: 'film.mp4', source: track, film: { begin: () => Promise.resolve({ film: outgoing }) } }
  const parcel = await sealift.open((await sealift.send([item])).link)
  const opened = parcel.film(only(parcel))
  if (!opened) throw new Error('There is no film')
  return opened
}

const expected = (start: number, end: number): string => digest(track.subarray(start, end))

test('a first read that is aborted does not spoil those after it', async () => {
  proxy.delayMs = 50
  const stop = new AbortController()
  const first = film.read({}, { start: 0, end: 1000 }, { signal: stop.signal })
  const beside = film.read({}, { start: 500_000, end: 600_000 })
  stop.abort()
  await expect(first).rejects.toMatchObject({ code: 'aborted' })
  expect(digest(await beside)).toBe(expected(500_000, 600_000))
  expect(digest(await film.read({}, { start: 0, end: 1000 }))).toBe(expected(0, 1000))
})

test('a read tells what came over the network, and nothing of what was available', async () => {
  const fetched: number[] = []
  const onFetched = (bytes: number): void => void fetched.push(bytes)
  await film.read({}, { start: 0, end: 400_000 }, { onFetched })
  expect(fetched).toHaveLength(2)
  expect(fetched.reduce((sum, bytes) => sum + bytes, 0)).toBe(2 * (CHUNK - 16) - 40)
  fetched.length = 0
  await film.read({}, { start: 390_000, end: 410_000 }, { onFetched })
  expect(fetched).toEqual([])
})

test('a read tells of repeats', async () => {
  await film.read({}, { start: 0, end: 1000 })
  let repeats = 0
  proxy.faults = () => (repeats < 2 ? { way: 'up', afterBytes: 0, how: 'cut' } : null)
  proxy.cutAll()
  const bytes = await film.read({}, { start: 900_000, end: 901_000 }, { onRetry: () => (repeats += 1) })
  expect(digest(bytes)).toBe(expected(900_000, 901_000))
  expect(repeats).toBeGreaterThan(1)
})
