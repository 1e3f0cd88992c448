import { expect, test } from 'vitest'

import type { MonotonicClock } from '../../../src/client/concurrency/monotonic-clock.ts'
import { sealManifest } from '../../../src/client/manifest/manifest-codec.ts'
import { ParcelFeed } from '../../../src/client/receive/parcel-feed.ts'
import { Retrier } from '../../../src/client/wire/retrier.ts'
import type { TransportResponse } from '../../../src/client/transport/transport.ts'
import { tokenCredential } from '../../../src/client/wire/credential.ts'
import { Server } from '../../../src/client/wire/http.ts'
import { nodeSuite as suite } from '../../../src/sealing/node-suite.ts'

const { signal } = new AbortController()
const key = new Uint8Array(32).fill(7)
const sealed = await sealManifest(
  { v: 1, createdAt: '2026-01-01T00:00:00Z', items: [{ name: 'a', type: 'text/plain', state: 'sending' }] },
  { suite, key },
)

/** Time passes only while a caller sleeps. */
function sleepingClock(): MonotonicClock {
  let at = 0
  return {
    now: () => at,
    sleep: ms => {
      at += ms
      return Promise.resolve()
    },
  }
}

/** A feed of a server that responds at once, whatever wait it is asked for. */
function feedOf(clock: MonotonicClock, versionOf: (request: number) => number | null): ParcelFeed {
  let requests = 0
  const request = (): Promise<TransportResponse> => {
    const version = versionOf(requests)
    requests += 1
    return Promise.resolve({
      status: version === null ? 304 : 200,
      header: name => (name === 'sealift-version' ? String(version) : null),
      body: new ReadableStream<Uint8Array>({
        start: controller => {
          if (version !== null) controller.enqueue(sealed)
          controller.close()
        },
      }),
      discard: () => Promise.resolve(),
    })
  }
  const transport = { request, [Symbol.asyncDispose]: () => Promise.resolve() }
  const retrier = new Retrier({ clock, random: () => 0 })
  const credential = tokenCredential(null)
  const server = new Server({ server: 'http://host.invalid', credential, transport, retrier, stallTimeoutMs: 1000 })
  return new ParcelFeed({ server, parcelId: 'a'.repeat(26), key, suite, clock })
}

test.each([
  ['that nothing is new', (request: number) => (request === 0 ? 1 : null)],
  ['with the same version', () => 1],
  ['with another version each time', (request: number) => request + 1],
])('a server that responds to every poll at once %s is polled four times a second', async (_, versionOf) => {
  const clock = sleepingClock()
  const feed = feedOf(clock, versionOf)
  let { version } = await feed.read(signal)
  for (let poll = 0; poll < 408; poll += 1) version = (await feed.next(version, 30, signal))?.version ?? version
  expect(clock.now()).toBe(100_000)
})

test('a version that is no newer is no news, so that its sender is found to be gone', async () => {
  const feed = feedOf(sleepingClock(), () => 1)
  await feed.read(signal)
  const waiting = feed.waitForItem(0, (item): item is never => item.state === 'complete', signal)
  await expect(waiting).rejects.toMatchObject({ code: 'sender_gone' })
})
