import { connect } from 'node:net'
import { text } from 'node:stream/consumers'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { NodeSealift, SendItem } from '../../src/client/node/index.ts'
import { byteFilm, trackContent } from '../support/byte-film.ts'
import { eventually } from '../support/eventually.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { checkGrowth, checkMedia, type CheckedMedia } from '../support/rfc8216.ts'
import { clientIn, content, digest, streamed } from '../support/sdk.ts'
import { storedMedia } from '../support/stored-bytes.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

const MIB = 1024 * 1024
const track = trackContent('track', 5 * MIB)

let server: TestServer
let home: TempDirectory
let sealift: NodeSealift

beforeAll(async () => {
  server = await startTestServer()
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: server.url, retry: { baseMs: 10, capMs: 20, patienceMs: 300 } })
})

afterAll(async () => {
  await sealift[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

async function serve(...items: SendItem[]): Promise<TestGateway> {
  const { link } = await sealift.send(items)
  return startGateway(await sealift.open(link))
}

const aFilm = (): SendItem => ({ name: 'film.mp4', source: content('own', 100), film: byteFilm(track) })
const get = (url: string, range?: string) => fetch(url, range === undefined ? {} : { headers: { range } })

describe('ranges', () => {
  test.each([
    ['bytes=0-999', 0, 1000],
    ['bytes=1000-700999', 1000, 701_000],
    ['bytes=5242000-', 5_242_000, 5 * MIB],
    ['bytes=-100', 5 * MIB - 100, 5 * MIB],
    ['bytes=0-99999999', 0, 5 * MIB],
  ])('%s of a track and of a file are those bytes', async (range, start, end) => {
    await using served = await serve({ ...aFilm() }, { name: 'a/plain.bin', source: track })
    for (const url of [served.url('r0.mp4'), served.url('file/plain.bin', 1)]) {
      const response = await get(url, range)
      expect(response.status).toBe(206)
      expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/${5 * MIB}`)
      expect(response.headers.get('content-length')).toBe(String(end - start))
      expect(digest(await response.bytes())).toBe(digest(track.subarray(start, end)))
    }
  })

  test('outside are 416; malformed, several or conditional ones return all of it', async () => {
    await using served = await serve(aFilm())
    const url = served.url('r0.mp4')
    for (const range of [`bytes=${5 * MIB}-`, 'bytes=-0']) {
      const response = await get(url, range)
      expect([response.status, response.headers.get('content-range')]).toEqual([416, `bytes */${5 * MIB}`])
    }
    for (const headers of [
      { range: 'bytes=5-1' },
      { range: 'bytes=0-1,3-4' },
      { range: 'bytes=0-1', 'if-range': '"x"' },
    ]) {
      const response = await fetch(url, { headers })
      expect([response.status, digest(await response.bytes())]).toEqual([200, digest(track)])
    }
    const head = await fetch(url, { method: 'HEAD', headers: { range: 'bytes=0-9' } })
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([206, '10', ''])
    expect(head.headers.get('accept-ranges')).toBe('bytes')
  })
})

test('a file keeps its type only where that is sound, and can do nothing in a browser', async () => {
  const other = 'application/octet-stream'
  const types = [
    ['video/mp4', 'video/mp4'],
    ['image/png', 'image/png'],
    ['text/plain', 'text/plain; charset=utf-8'],
    ['application/pdf', 'application/pdf'],
    ['text/html', other],
    ['image/svg+xml', other],
    ['application/xhtml+xml', other],
    ['video/mp4\r\nSet-Cookie: a=b', other],
  ] as const
  const file = content('file', 500)
  await using served = await serve(...types.map(([type]) => ({ name: '../<x> é.bin', type, source: file })))
  for (const [index, [, type]] of types.entries()) {
    const response = await get(served.gateway.urlOf(index))
    expect(digest(await response.bytes())).toBe(digest(file))
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': type,
      'x-content-type-options': 'nosniff',
      'content-security-policy': "sandbox; default-src 'none'",
      'cache-control': 'no-store',
    })
    expect(response.headers.has('access-control-allow-origin')).toBe(false)
  }
})

test('a poster is given where there is one', async () => {
  const jpeg = new Uint8Array([0xff, 0xd8, 0xff, 1, 2, 3])
  await using served = await serve({ ...aFilm(), thumbnail: jpeg }, { name: 'x', source: content('x', 10) })
  const response = await get(served.url('poster.jpg'))
  expect([response.headers.get('content-type'), await response.bytes()]).toEqual(['image/jpeg', jpeg])
  expect((await get(served.url('poster.jpg', 1))).status).toBe(404)
})

describe('whoever does not belong here', () => {
  /** One request as it is written. */
  async function raw(url: string, request: string): Promise<string> {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    socket.write(request.replaceAll('\n', '\r\n'))
    const response = await text(socket)
    return response.replace(/^Date: .*\r\n/m, '')
  }

  test('is told nothing: all the same 404', async () => {
    await using served = await serve(aFilm())
    const url = new URL(served.url('master.m3u8'))
    const { host, pathname } = url
    const [, prefix] = pathname.split('/')
    const ask = (line: string, from = host) => raw(url.href, `${line} HTTP/1.1\nHost: ${from}\nConnection: close\n\n`)
    expect(await ask(`GET ${pathname}`)).toMatch(/^HTTP\/1\.1 200 /)
    expect(await ask(`GET ${pathname}`, `localhost:${url.port}`)).toMatch(/^HTTP\/1\.1 200 /)
    const responses = await Promise.all([
      ask(`GET ${pathname}`, 'evil.invalid'),
      ask(`GET ${pathname}`, `evil.invalid:${url.port}`),
      ask(`GET ${pathname}`, '127.0.0.1:1'),
      ask('GET /'),
      ask('GET *'),
      ask(`GET /${'0'.repeat(32)}/0/master.m3u8`),
      ask(`GET /${prefix?.slice(0, -1)}/0/master.m3u8`),
      ask(`GET /${prefix}/`),
      ask(`GET /${prefix}/9/master.m3u8`),
      ask(`GET /${prefix}/00/master.m3u8`),
      ask(`GET /${prefix}/-1/master.m3u8`),
      ask(`GET /${prefix}/0/../0/master.m3u8`),
      ask(`GET /${prefix}/0/%2e%2e/%2e%2e/etc/passwd`),
      ask(`GET /${prefix}/0/file/../../../etc/passwd`),
      ask(`GET /${prefix}/0/r1.m3u8`),
      ask(`GET /${prefix}/0/r0.vtt`),
      ask(`GET /${prefix}/0/s0.vtt`),
      ask(`GET /${prefix}/0/constructor`),
      ask(`POST ${pathname}`),
      ask(`OPTIONS ${pathname}`),
      ask(`GET http://evil.invalid${pathname}`, 'evil.invalid'),
    ])
    expect(responses[0]).toMatch(/^HTTP\/1\.1 404 Not Found\r\n[^]*\r\n\r\nNot found\n$/)
    expect(new Set(responses).size).toBe(1)
    expect(served.errors).toEqual([])
  })
})

test('a flipped bit cuts the connection: what comes is never whole, and never altered', async () => {
  const before = new Set((await storedMedia(server.live.current)).map(({ name }) => name))
  const { link } = await sealift.send([aFilm()])
  const stored = (await storedMedia(server.live.current)).filter(({ name }) => !before.has(name))
  for (const each of stored) {
    const bytes = await each.read()
    if (bytes.byteLength < 2 * MIB) continue
    bytes[3 * MIB] = (bytes[3 * MIB] ?? 0) ^ 1
    await each.write(bytes)
  }
  await using served = await startGateway(await sealift.open(link))
  const good = await get(served.url('r0.mp4'), 'bytes=0-1048575')
  expect(digest(await good.bytes())).toBe(digest(track.subarray(0, MIB)))
  const received: Uint8Array[] = []
  const reading = async (): Promise<void> => {
    const response = await get(served.url('r0.mp4'))
    for await (const piece of response.body ?? []) received.push(piece)
  }
  await expect(reading()).rejects.toBeInstanceOf(TypeError)
  const all = Buffer.concat(received)
  expect(all.byteLength).toBeLessThan(3 * MIB)
  expect(digest(all)).toBe(digest(track.subarray(0, all.byteLength)))
  expect(served.errors).toMatchObject([{ code: 'damaged_media' }])
})

test('a player that closes the connection ends what is fetched for it, and is no error', async () => {
  await using served = await serve({ name: 'big.bin', source: content('big', 16 * MIB) })
  const response = await get(served.url('file/big.bin'))
  const reader = response.body?.getReader()
  await reader?.read()
  await reader?.cancel()
  await eventually('no connection is left', () => served.gateway.connections() === 0)
  expect(served.errors).toEqual([])
})

describe('while it is being sent', () => {
  interface Sending {
    readonly served: TestGateway
    readonly more: (untilByte: number) => void
    readonly stop: AbortController
    readonly sent: Promise<unknown>
  }

  async function send(): Promise<Sending> {
    const wanted = [2 * MIB]
    let wake = Promise.withResolvers<void>()
    let at = 0
    const source = new ReadableStream<Uint8Array>({
      async pull(controller) {
        while (wanted.at(-1) === at) await wake.promise
        const end = wanted.at(-1) ?? 0
        controller.enqueue(track.slice(at, end))
        at = end
        if (at === track.byteLength) controller.close()
      },
    })
    const more = (untilByte: number): void => {
      wanted.push(untilByte)
      wake.resolve()
      wake = Promise.withResolvers()
    }
    const stop = new AbortController()
    const link = Promise.withResolvers<string>()
    const sent = sealift.send(
      [{ name: 'film.mp4', source: streamed(content('own', 100), 100), film: byteFilm(track, source) }],
      {
        publishFirst: true,
        signal: stop.signal,
        onPublished: published => link.resolve(published.link),
      },
    )
    sent.catch(() => undefined)
    return { served: await startGateway(await sealift.open(await link.promise)), more, stop, sent }
  }

  async function playlistWith(served: TestGateway, segments: number): Promise<CheckedMedia> {
    let found = checkMedia(await (await get(served.url('r0.m3u8'))).text())
    await eventually(`${segments} segments`, async () => {
      const next = checkMedia(await (await get(served.url('r0.m3u8'))).text())
      if (!found.ended) checkGrowth(found, next)
      found = next
      return found.segments.length >= segments
    })
    return found
  }

  test('playlists grow, the whole file follows, and both end', async () => {
    const { served, more, sent } = await send()
    await using _ = served
    await eventually('there is a film', () => served.gateway.followed.film(0) !== null)
    const first = await playlistWith(served, 1)
    expect(first).toMatchObject({ type: 'EVENT', ended: false })
    const [{ range } = { range: null }] = first.segments
    const segment = await get(served.url('r0.mp4'), `bytes=${range?.start}-${(range?.end ?? 0) - 1}`)
    expect([segment.status, segment.headers.get('content-range')]).toEqual([206, 'bytes 1000-700999/*'])
    expect(digest(await segment.bytes())).toBe(digest(track.subarray(1000, 701_000)))
    const whole = get(served.url('r0.mp4')).then(response => response.bytes())
    more(4 * MIB)
    checkGrowth(first, await playlistWith(served, 5))
    more(5 * MIB)
    await sent
    const last = await playlistWith(served, 8)
    checkGrowth(first, last)
    await eventually('it ends', async () => (await playlistWith(served, 8)).ended)
    expect(digest(await whole)).toBe(digest(track))
    expect(served.senderGone()).toBe(0)
    expect(served.errors).toEqual([])
  })

  test('a sender that stops ends the playlist, and cuts who waits for the rest', async () => {
    const { served, stop } = await send()
    await using _ = served
    await eventually('there is a film', () => served.gateway.followed.film(0) !== null)
    const first = await playlistWith(served, 2)
    const whole = get(served.url('r0.mp4')).then(response => response.bytes())
    whole.catch(() => undefined)
    stop.abort()
    await eventually('it is said', () => served.senderGone() === 1)
    await expect(whole).rejects.toBeInstanceOf(TypeError)
    const last = await playlistWith(served, 2)
    checkGrowth(first, last)
    expect(last.ended).toBe(true)
    expect(served.senderGone()).toBe(1)
  })
})

test('a track or subtitles that a player would take for a playlist are not given out', async () => {
  const list = new TextEncoder().encode(`#EXTM3U\n#EXTINF:4,\nhttp://127.0.0.1/\n${'#'.repeat(2000)}`)
  await using served = await serve({ ...aFilm(), film: byteFilm(list) })
  for (const name of ['r0.m3u8', 'r0.mp4']) {
    await expect(get(served.url(name)).then(response => response.bytes())).rejects.toThrow(/fetch failed|terminated/)
  }
  expect(served.errors).toMatchObject([{ code: 'damaged_media' }, { code: 'damaged_media' }])
})
