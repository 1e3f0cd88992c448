import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { NodeSealift } from '../../src/client/node/index.ts'
import { undiciTransport } from '../../src/client/node/transport/undici-transport.ts'
import type { Transport } from '../../src/client/transport/transport.ts'
import { startFlakyProxy } from '../support/flaky-proxy.ts'
import type { FlakyProxy } from '../support/flaky-proxy.ts'
import { eventually } from '../support/eventually.ts'
import { localAuth } from '../support/local-token.ts'
import { clientIn, content, digest, digests, MemorySink, writeFiles } from '../support/sdk.ts'
import { runSeed, seededRandom } from '../support/random.ts'
import { runChild } from '../support/run-sdk-child.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

const MIB = 1024 * 1024
const SIZES = { film: 18 * MIB + 7, photo: 900_000, note: 321, empty: 0 }
const TOTAL = Object.values(SIZES).reduce((sum, size) => sum + size, 0)

let server: TestServer
let home: TempDirectory
let proxy: FlakyProxy
let sealift: NodeSealift
const seed = runSeed()
const random = seededRandom(seed)

beforeAll(async () => {
  server = await startTestServer({ transfer: { partBytes: '1MiB' } })
})

afterAll(async () => {
  await server.stop()
})

beforeEach(async () => {
  home = await tempDirectory()
  proxy = await startFlakyProxy(server.url)
  sealift = clientIn(home.path, { server: proxy.url })
})

afterEach(async () => {
  await sealift[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

/** True once so many more bytes have passed; never for `null`. */
function afterBytes(count: () => number, more: number | null): () => boolean {
  const until = count() + (more ?? Infinity)
  return () => count() >= until
}

const partPuts = (): string[] => proxy.requests.filter(line => line.startsWith('PUT /v1/uploads/'))

/** Files old enough for their times to prove something. */
async function oldFiles(): Promise<string[]> {
  const from = join(home.path, 'from')
  await mkdir(from)
  const files = await writeFiles(from, SIZES)
  await pause(150)
  return files.map(file => file.path)
}

const expected = (): Record<string, string> =>
  Object.fromEntries(Object.entries(SIZES).map(([name, size]) => [name, digest(content(name, size))]))

describe(`kill -9 (seed ${seed})`, () => {
  test('of a sender at any time costs only what was under way', async () => {
    const paths = await oldFiles()
    proxy.delayMs = 30
    const args = ['send', home.path, proxy.url, ...paths]
    let answer: string | null = null
    let rounds = 0
    for (; answer === null && rounds < 12; rounds += 1) {
      const more = rounds < 4 ? 50_000 + random.int(5 * MIB) : null
      answer = await runChild(args, afterBytes(proxy.sentBytes, more))
    }
    expect(answer).toMatch(/^resumed http/)
    expect(rounds).toBeGreaterThan(2)
    // No part is sent twice, but those under way at a kill.
    const distinct = new Set(partPuts().map(line => line.split(' ')[1]))
    expect(partPuts().length).toBeLessThanOrEqual(distinct.size + rounds * 6)
    expect(proxy.sentBytes()).toBeLessThan(TOTAL * 1.06 + rounds * 7 * MIB)
    const link = answer?.split(' ')[1] ?? ''
    const received = await sealift.receive(link, { directory: join(home.path, 'in') })
    expect(received.complete).toBe(true)
    expect(await digests(join(home.path, 'in'))).toEqual(expected())
    expect(await readdir(join(home.path, 'state', 'sends'))).toEqual([])
  })

  test('of a receiver at any time costs only what was under way', async () => {
    const sent = await sealift.sendFiles((await oldFiles()).map(path => ({ path, name: path.split('/').at(-1) ?? '' })))
    const into = join(home.path, 'in')
    proxy.delayMs = 30
    proxy.resetCounts()
    let answer: string | null = null
    let rounds = 0
    for (; answer === null && rounds < 12; rounds += 1) {
      const more = rounds < 4 ? 50_000 + random.int(6 * MIB) : null
      answer = await runChild(['receive', home.path, proxy.url, sent.link, into], afterBytes(proxy.receivedBytes, more))
    }
    expect(answer).toBe('done')
    expect(rounds).toBeGreaterThan(2)
    expect(await digests(into)).toEqual(expected())
    // Three ranges may be under way at each kill, of 8 MiB each: but none that was finished is fetched again.
    expect(proxy.receivedBytes()).toBeLessThan(TOTAL * 1.06 + (rounds - 1) * 24 * MIB)
  })
})

/** Receives until a good part is there, then stops, to be gone on with. */
async function interruptedReceive(link: string, directory: string): Promise<void> {
  const stop = new AbortController()
  proxy.delayMs = 20
  const until = afterBytes(proxy.receivedBytes, 9 * MIB)
  const watch = setInterval(() => until() && stop.abort(), 1)
  const receiving = sealift.receive(link, { directory, keepOnAbort: true, signal: stop.signal })
  await expect(receiving).rejects.toMatchObject({ code: 'aborted' })
  clearInterval(watch)
  proxy.delayMs = 0
}

/** The journal of the one receive that is not done. */
async function receiveJournal(): Promise<string> {
  const folder = join(home.path, 'state', 'receives')
  return join(folder, (await readdir(folder))[0] ?? '')
}

/** Plaintext bytes that the journal says are there. */
async function finishedBytes(): Promise<number> {
  const ranges = (await readFile(await receiveJournal(), 'utf8')).matchAll(/"range":\[(\d+),(\d+)\]/g)
  return Array.from(ranges, ([, start, end]) => Number(end) - Number(start)).reduce((sum, bytes) => sum + bytes, 0)
}

test('ranges that are finished are not fetched again, and finished items neither', async () => {
  const paths = await oldFiles()
  const sent = await sealift.sendFiles(paths.map(path => ({ path, name: path.split('/').at(-1) ?? '' })))
  const into = join(home.path, 'in')
  await interruptedReceive(sent.link, into)
  const finished = await finishedBytes()
  expect(finished).toBeGreaterThan(MIB)
  proxy.resetCounts()
  const second = await sealift.receive(sent.link, { directory: into })
  expect(second.complete).toBe(true)
  expect(await digests(into)).toEqual(expected())
  // Padding is read again: it proves where an item ends.
  expect(proxy.receivedBytes()).toBeLessThan(TOTAL * 1.06 - finished + MIB / 2)
})

describe('after the machine was started anew in the middle of a receive', () => {
  const into = () => join(home.path, 'in')
  let link: string

  /** A receiver is killed when the small items are there; then the machine starts anew. */
  beforeEach(async () => {
    const paths = await oldFiles()
    const sent = await sealift.sendFiles(paths.map(path => ({ path, name: path.split('/').at(-1) ?? '' })))
    link = sent.link
    proxy.delayMs = 30
    const smallOnes = (): boolean => ['photo', 'note', 'empty'].every(name => existsSync(join(into(), name)))
    await runChild(['receive', home.path, proxy.url, link, into()], smallOnes)
    proxy.delayMs = 0
    proxy.resetCounts()
    const journal = await receiveJournal()
    const text = await readFile(journal, 'utf8')
    await writeFile(journal, text.replaceAll(/"boot":"[^"]*"/g, '"boot":"another"'))
  })

  test('whole items are known by their bytes, and neither fetched nor written again', async () => {
    const before = await stat(join(into(), 'photo'))
    expect(existsSync(join(into(), 'film'))).toBe(false)
    const second = await sealift.receive(link, { directory: into() })
    expect(second.complete).toBe(true)
    expect(await digests(into())).toEqual(expected())
    expect((await stat(join(into(), 'photo'))).ino).toBe(before.ino)
    expect(new Set(second.items.map(({ path }) => path?.split('/').at(-1)))).toEqual(new Set(Object.keys(SIZES)))
    expect(proxy.receivedBytes()).toBeLessThan(SIZES.film * 1.06 + SIZES.photo / 2)
  })

  test('what the crash took is fetched again, and what stands there is left alone', async () => {
    await writeFile(join(into(), 'photo'), new Uint8Array(SIZES.photo))
    const second = await sealift.receive(link, { directory: into() })
    expect(second.complete).toBe(true)
    const zeros = digest(new Uint8Array(SIZES.photo))
    expect(await digests(into())).toEqual({ ...expected(), photo: zeros, 'photo (2)': expected()['photo'] })
  })
})

test('a journal of another run of the system is not trusted: the item begins anew', async () => {
  const film = (await oldFiles()).filter(path => path.endsWith('film'))
  const sent = await sealift.sendFiles(film.map(path => ({ path, name: 'film' })))
  const into = join(home.path, 'in')
  await interruptedReceive(sent.link, into)
  const journal = await receiveJournal()
  const text = await readFile(journal, 'utf8')
  await writeFile(journal, text.replaceAll(/"boot":"[^"]*"/g, '"boot":"another"'))
  // What the crash left on the disk is not what was written.
  const part = join(into, (await readdir(into)).find(name => name.endsWith('.sealift-part')) ?? '')
  await writeFile(part, new Uint8Array((await stat(part)).size))
  const second = await sealift.receive(sent.link, { directory: into })
  expect(second.complete).toBe(true)
  expect(await digests(into)).toEqual({ film: expected()['film'] })
})

describe('a send that is gone on with', () => {
  /** Parts that the journal of the send says are there. */
  function journaledParts(): number {
    const folder = join(home.path, 'state', 'sends')
    const [journal] = existsSync(folder) ? readdirSync(folder) : []
    return journal === undefined ? 0 : readFileSync(join(folder, journal), 'utf8').split('"part":').length - 1
  }

  /** Sends until some parts are there, then stops. */
  async function interrupted(paths: readonly string[]): Promise<void> {
    const stop = new AbortController()
    proxy.delayMs = 20
    const until = afterBytes(proxy.sentBytes, 8 * MIB)
    // Of what was sent, some is only on its way to the store, and some answers are on their way back.
    const watch = setInterval(() => until() && journaledParts() >= 3 && stop.abort(), 5)
    const items = paths.map(path => ({ path, name: path.split('/').at(-1) ?? '' }))
    await expect(sealift.sendFiles(items, { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' })
    clearInterval(watch)
    proxy.delayMs = 0
    proxy.resetCounts()
  }

  const again = (paths: readonly string[], signal?: AbortSignal) =>
    sealift.sendFiles(
      paths.map(path => ({ path, name: path.split('/').at(-1) ?? '' })),
      signal ? { signal } : {},
    )

  /** Asked past the proxy. */
  const pendingUploads = async (): Promise<number> => {
    await using direct = clientIn(home.path, { server: server.url })
    return (await direct.limits()).usage.pendingUploads
  }

  /** A send whose upload begins, and that is stopped before it hears of it. */
  async function unanswered(paths: readonly string[]): Promise<void> {
    const before = await pendingUploads()
    const stop = new AbortController()
    proxy.faults = () => ({ way: 'down', afterBytes: 0, how: 'stall' })
    const sending = again(paths, stop.signal)
    sending.catch(() => undefined)
    await eventually('its upload has begun', async () => (await pendingUploads()) > before)
    stop.abort()
    await expect(sending).rejects.toMatchObject({ code: 'aborted' })
    proxy.faults = null
  }

  const journalPath = async (): Promise<string> => {
    const folder = join(home.path, 'state', 'sends')
    return join(folder, (await readdir(folder))[0] ?? '')
  }

  const received = async (link: string): Promise<Record<string, string>> => {
    const into = join(home.path, `in ${Math.random()}`)
    await sealift.receive(link, { directory: into })
    return digests(into)
  }

  test('sends no finished part again', async () => {
    const paths = await oldFiles()
    await interrupted(paths)
    const sent = await again(paths)
    expect(sent.resumed).toBe(true)
    expect(proxy.sentBytes()).toBeLessThan(TOTAL * 1.06 - MIB)
    expect(await received(sent.link)).toEqual(expected())
  })

  test('seals nothing under an old key when the file has changed, and sends it anew', async () => {
    const paths = await oldFiles()
    await interrupted(paths)
    const film = paths.find(path => path.endsWith('film')) ?? ''
    const times = await stat(film)
    const changed = content('another film', SIZES.film)
    await writeFile(film, changed)
    // Even when whoever changed it put its time back.
    await utimes(film, times.atime, times.mtime)
    await pause(150)
    const sent = await again(paths)
    expect(await received(sent.link)).toEqual({ ...expected(), film: digest(changed) })
    // The upload under the old key was taken back; what the abort cut off is given up as soon as the server sees it.
    await eventually('nothing is pending', async () => (await sealift.limits()).usage.pendingUploads === 0)
  })

  test('takes up an upload whose beginning was never answered', async () => {
    const paths = (await oldFiles()).filter(path => path.endsWith('film'))
    const before = await pendingUploads()
    await unanswered(paths)
    const sent = await again(paths)
    expect(await received(sent.link)).toEqual({ film: expected()['film'] })
    await eventually('nothing is pending', async () => (await pendingUploads()) === before)
  })

  test('draws fresh secrets when its key was used for a beginning on other terms', async () => {
    const paths = (await oldFiles()).filter(path => path.endsWith('film'))
    await unanswered(paths)
    const [key = ''] = (await readFile(await journalPath(), 'utf8')).match(/(?<="idempotencyKey":")[^"]+/) ?? []
    const otherKey = key.split('').toReversed().join('')
    const headers = {
      ...localAuth(server.url),
      'content-type': 'application/json',
      'idempotency-key': otherKey,
      'sealift-owner': 'x'.repeat(43),
    }
    const other = await fetch(`${server.url}/v1/uploads`, { method: 'POST', headers, body: '{"sizeBytes":5}' })
    expect(other.status).toBe(201)
    await writeFile(await journalPath(), (await readFile(await journalPath(), 'utf8')).replace(key, otherKey))
    const sent = await again(paths)
    expect(await received(sent.link)).toEqual({ film: expected()['film'] })
  })

  test('begins an item anew when the server has dropped its upload', async () => {
    const paths = await oldFiles()
    await interrupted(paths)
    const state = join(home.path, 'state', 'sends')
    const journal = await readFile(join(state, (await readdir(state))[0] ?? ''), 'utf8')
    const uploadId = /"uploadId":"([a-z2-7]{26})"/.exec(journal)?.[1] ?? ''
    await fetch(`${server.url}/v1/uploads/${uploadId}`, { method: 'DELETE', headers: localAuth(server.url) })
    const sent = await again(paths)
    expect(await received(sent.link)).toEqual(expected())
  })

  test('keeps the link that was published first, and its followers', async () => {
    const paths = await oldFiles()
    const items = paths.map(path => ({ path, name: path.split('/').at(-1) ?? '' }))
    const stop = new AbortController()
    const links: string[] = []
    const options = { publishFirst: true, onPublished: ({ link }: { link: string }) => void links.push(link) }
    proxy.delayMs = 20
    const until = afterBytes(proxy.sentBytes, 8 * MIB)
    const watch = setInterval(() => until() && stop.abort(), 1)
    await expect(sealift.sendFiles(items, { ...options, signal: stop.signal })).rejects.toMatchObject({
      code: 'aborted',
    })
    clearInterval(watch)
    proxy.delayMs = 0
    const parcel = await sealift.open(links[0] ?? '')
    expect(parcel.complete).toBe(false)
    const sinks = parcel.items.map(() => new MemorySink())
    const following = parcel.downloadAll({
      open: item => Promise.resolve({ sink: sinks[item.index] ?? new MemorySink() }),
    })
    const sent = await sealift.sendFiles(items, options)
    expect(links).toEqual([sent.link, sent.link])
    expect((await following).filter(result => !result.ok)).toEqual([])
    expect(
      Object.fromEntries(parcel.items.map(item => [item.name, digest(sinks[item.index]?.bytes ?? new Uint8Array(0))])),
    ).toEqual(expected())
    expect(await received(sent.link)).toEqual(expected())
  })

  test('sends a part again whose answer it did not live to see, so that the server compares it', async () => {
    const film = (await oldFiles()).filter(path => path.endsWith('film'))
    const inner = undiciTransport({ connections: 8 })
    const stop = new AbortController()
    // The server stores other bytes than were sealed, and its answer is lost.
    const request: Transport['request'] = async sending => {
      if (!sending.url.endsWith('/parts/3')) return inner.request(sending)
      const altered = Uint8Array.from(sending.body ?? [])
      altered[5] = (altered[5] ?? 0) ^ 1
      await (await inner.request({ ...sending, body: altered })).discard()
      stop.abort()
      throw new Error('lost')
    }
    await using altering = clientIn(home.path, { server: proxy.url, transport: { ...inner, request } })
    const items = film.map(path => ({ path, name: 'film' }))
    await expect(altering.sendFiles(items, { signal: stop.signal })).rejects.toMatchObject({ code: 'aborted' })
    await expect(again(film)).rejects.toMatchObject({ code: 'file_changed' })
    const sent = await again(film)
    expect(await received(sent.link)).toEqual({ film: expected()['film'] })
  })

  test('does not break on a journal whose end is cut or garbled', async () => {
    const paths = await oldFiles()
    await interrupted(paths)
    const state = join(home.path, 'state', 'sends')
    const path = join(state, (await readdir(state))[0] ?? '')
    const text = await readFile(path, 'utf8')
    await writeFile(path, `${text.slice(0, -40)}\u0000\u0000{"item":`)
    const sent = await again(paths)
    expect(await received(sent.link)).toEqual(expected())
  })

  test('keeps its journal and the owner secrets to their owner', async () => {
    const paths = await oldFiles()
    await interrupted(paths)
    const sent = await again(paths.slice(1))
    const state = join(home.path, 'state')
    for (const file of await readdir(state, { recursive: true, withFileTypes: true })) {
      const { mode } = await stat(join(file.parentPath, file.name))
      expect(mode & 0o077).toBe(0)
    }
    await sealift.delete(sent.link)
    await expect(sealift.open(sent.link)).rejects.toMatchObject({ code: 'gone' })
    await rm(state, { recursive: true })
  })
})
