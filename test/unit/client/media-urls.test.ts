import { expect, test } from 'vitest'

import { NO_SIGNAL } from '../../../src/client/concurrency/abort.ts'
import { monotonicClock } from '../../../src/client/concurrency/monotonic-clock.ts'
import { MediaUrls } from '../../../src/client/direct/media-urls.ts'
import { Retrier } from '../../../src/client/wire/retrier.ts'
import type { Transport } from '../../../src/client/transport/transport.ts'
import { tokenCredential } from '../../../src/client/wire/credential.ts'
import { Server } from '../../../src/client/wire/http.ts'
import type { DirectRead } from '../../../src/protocol/schemas.ts'

const PART = 256 * 1024
const PARTS = 40
const SIZE = PARTS * PART - 30

interface Scene {
  readonly addresses: MediaUrls
  /** The ranges that were asked for. */
  readonly asked: [start: number, end: number][]
  /** Transfers that were released. */
  readonly ended: string[]
  nowMs: number
  /** How long each response takes. */
  responseMs: number
  /** How far from now the server says that addresses expire, as this client's clock sees it. */
  lifetimeMs: number
  change: (read: DirectRead) => DirectRead
}

function scene(): Scene {
  const clock = { now: () => made.nowMs, sleep: () => Promise.resolve() }
  const transport: Transport = {
    request: ({ url }) => {
      made.ended.push(url.split('/').at(-1) ?? '')
      return Promise.resolve({
        status: 204,
        header: () => null,
        body: new ReadableStream(),
        discard: () => Promise.resolve(),
      })
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const retrier = new Retrier({ clock: monotonicClock, random: () => 0 })
  const server = new Server({
    server: 'http://media',
    credential: tokenCredential(null),
    transport,
    retrier,
    stallTimeoutMs: 1000,
  })
  const ask = (start: number, end: number): Promise<DirectRead> => {
    made.asked.push([start, end])
    made.nowMs += made.responseMs
    const first = Math.floor(start / PART)
    const count = Math.min(64, Math.ceil(Math.min(end, SIZE) / PART) - first)
    const parts = Array.from({ length: count }, (_, at) => ({ index: first + at, url: `http://store/`, headers: {} }))
    const expiresAt = new Date(Date.now() + made.lifetimeMs).toISOString()
    const transferId = String(made.asked.length)
    return Promise.resolve(made.change({ transferId, sizeBytes: SIZE, partBytes: PART, parts, expiresAt }))
  }
  const made: Scene = {
    addresses: new MediaUrls({ server, clock, sealedBytes: SIZE, ask }),
    asked: [],
    ended: [],
    nowMs: 0,
    responseMs: 0,
    lifetimeMs: 60_000,
    change: read => read,
  }
  return made
}

/** As a server with small parts responds the first time. */
const small = (read: DirectRead): DirectRead => ({ ...read, parts: read.parts.slice(0, 2) })
const pieceOf = (part: number) => ({ part, start: 0, end: part === PARTS - 1 ? PART - 30 : PART, at: part * PART })

test('all who come at once share one asking', async () => {
  const { addresses, asked } = scene()
  await Promise.all([0, 1, 5, 39].map(part => addresses.of(part * PART, NO_SIGNAL)))
  expect(asked).toHaveLength(1)
})

test('each request asks for more while responses are quick, and for little once one is slow', async () => {
  const made = scene()
  made.change = small
  await made.addresses.of(0, NO_SIGNAL)
  made.change = read => read
  await made.addresses.of(2 * PART, NO_SIGNAL)
  made.responseMs = 5000
  await made.addresses.of(6 * PART, NO_SIGNAL)
  await made.addresses.of(14 * PART, NO_SIGNAL)
  expect(made.asked.slice(1)).toEqual([
    [2 * PART, 6 * PART],
    [6 * PART, 14 * PART],
    [14 * PART, 15 * PART],
  ])
})

test('unused slots are released before more are requested, used ones are retained', async () => {
  const made = scene()
  made.change = small
  const used = await made.addresses.of(0, NO_SIGNAL)
  ;(await made.addresses.of(2 * PART, NO_SIGNAL)).release()
  await made.addresses.of(4 * PART, NO_SIGNAL)
  expect(made.ended).toEqual(['2'])
  used.release()
  await made.addresses.close()
  expect(made.ended.toSorted()).toEqual(['1', '2', '3'])
})

test('the slot is released with the last byte of its parts', async () => {
  const made = scene()
  made.change = small
  const first = await made.addresses.of(0, NO_SIGNAL)
  made.addresses.done(pieceOf(1), first)
  made.addresses.done({ ...pieceOf(0), end: PART - 1 }, first)
  expect(made.ended).toEqual([])
  made.addresses.done({ ...pieceOf(0), start: PART - 1 }, first)
  expect(made.ended).toEqual(['1'])
})

test('addresses are renewed before they expire, and when the store does not take them', async () => {
  const made = scene()
  await made.addresses.of(0, NO_SIGNAL)
  made.nowMs += 50_000
  const known = await made.addresses.of(PART, NO_SIGNAL)
  expect(made.asked).toHaveLength(1)
  made.addresses.forget(known)
  await made.addresses.of(PART, NO_SIGNAL)
  expect(made.asked).toHaveLength(2)
  made.nowMs += 59_000
  await made.addresses.of(PART, NO_SIGNAL)
  expect(made.asked).toHaveLength(3)
})

test('a clock that is wrong does not make every address look expired', async () => {
  const made = scene()
  made.lifetimeMs = -3_600_000
  await made.addresses.of(0, NO_SIGNAL)
  await made.addresses.of(PART, NO_SIGNAL)
  expect(made.asked).toHaveLength(1)
})

test.each<[string, (read: DirectRead) => DirectRead, string]>([
  ['another size', read => ({ ...read, sizeBytes: SIZE + 1 }), 'damaged_media'],
  ['no address', read => ({ ...read, parts: [] }), 'invalid_response'],
  ['a gap', read => ({ ...read, parts: read.parts.filter(({ index }) => index !== 1) }), 'invalid_response'],
  ['other parts', read => ({ ...read, parts: read.parts.slice(1) }), 'invalid_response'],
  ['parts of no size', read => ({ ...read, partBytes: 0 }), 'invalid_response'],
  ['parts of a byte', read => ({ ...read, partBytes: 1 }), 'invalid_response'],
])('a response with %s is not used, and its slot is released', async (_, change, code) => {
  const made = scene()
  made.change = change
  await expect(made.addresses.of(0, NO_SIGNAL)).rejects.toMatchObject({ code })
  await made.addresses.close()
  expect(made.ended).toEqual(['1'])
})
