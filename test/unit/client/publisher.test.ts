import { expect, test } from 'vitest'

import type { MonotonicClock } from '../../../src/client/concurrency/monotonic-clock.ts'
import type { TrackProgress } from '../../../src/client/api/outgoing-film.ts'
import { Retrier } from '../../../src/client/wire/retrier.ts'
import { Publisher } from '../../../src/client/send/publisher.ts'
import { MemoryJournal } from '../../../src/client/send/send-journal.ts'
import { TaskGroup } from '../../../src/client/concurrency/task-group.ts'
import type { Transport } from '../../../src/client/transport/transport.ts'
import { tokenCredential } from '../../../src/client/wire/credential.ts'
import { Server } from '../../../src/client/wire/http.ts'
import { nodeSuite } from '../../../src/sealing/node-suite.ts'

const SEGMENT_BYTES = 700_000
const UPDATE_MS = 500
const BEGUN = { media: 'b'.repeat(26), key: 'k', commit: 'c', chunkBytes: 65_536, sealedBytes: null }
const signal = new AbortController().signal

type Segment = [number, number, number]

/** A server that counts versions of one parcel, and a clock that jumps to whatever is waited for. */
function stage() {
  const seen = { version: 0, nowMs: 0, versionsAtMs: [] as number[] }
  const clock: MonotonicClock = {
    now: () => seen.nowMs,
    sleep: ms => {
      seen.nowMs += ms
      return Promise.resolve()
    },
  }
  const transport: Transport = {
    request: () => {
      seen.version += 1
      seen.versionsAtMs.push(seen.nowMs)
      const expiresAt = '2030-01-01T00:00:00.000Z'
      const parcel = { parcelId: 'a'.repeat(26), version: seen.version, expiresAt }
      const body = (async function* () {
        await Promise.resolve()
        yield new TextEncoder().encode(JSON.stringify(parcel))
      })()
      return Promise.resolve({ status: 200, header: () => null, body, discard: () => Promise.resolve() })
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
  const retrier = new Retrier({ clock, random: () => 0 })
  const credential = tokenCredential(null)
  const server = new Server({ server: 'http://media', credential, transport, retrier, stallTimeoutMs: 1000 })
  const source = new Uint8Array(10)
  const items = [{ name: 'film.mp4', source }]
  const journal = new MemoryJournal(nodeSuite)
  const publisher = new Publisher({
    server,
    suite: nodeSuite,
    clock,
    journal,
    ttlSeconds: undefined,
    items,
    createdAt: new Date(0),
  })
  publisher.filmBegun(0, { tracks: [], describe: describeSegments })
  return { publisher, seen }
}

function describeSegments({ media, readableBytes }: TrackProgress) {
  if (!media) return null
  const init: [number, number] = [0, 1000]
  const count = Math.floor(readableBytes / SEGMENT_BYTES)
  const segments = Array.from({ length: count }, (_, at) => [at * SEGMENT_BYTES, SEGMENT_BYTES, 4] satisfies Segment)
  return { state: 'sending' as const, renditions: [{ media, codecs: 'avc1.640028', bandwidth: 1, init, segments }] }
}

test('bytes that end no segment make no version, and the segment after them waits for none', async () => {
  const { publisher, seen } = stage()
  await publisher.publish(signal)
  const group = new TaskGroup(signal)
  const told = async (): Promise<void> => {
    publisher.updateSoon(group)
    await group.join()
  }
  publisher.itemBegun(0, BEGUN, null)
  await told()
  expect(seen.versionsAtMs).toEqual([0, UPDATE_MS])
  seen.nowMs += UPDATE_MS
  for (const bytes of [SEGMENT_BYTES / 4, SEGMENT_BYTES / 2]) {
    publisher.readable({ index: 0, track: null }, bytes)
    await told()
  }
  expect(seen.versionsAtMs).toHaveLength(2)
  const before = seen.nowMs
  publisher.readable({ index: 0, track: null }, SEGMENT_BYTES)
  await told()
  expect(seen.versionsAtMs).toHaveLength(3)
  expect((seen.versionsAtMs[2] ?? 0) - before).toBeLessThan(UPDATE_MS / 5)
})
