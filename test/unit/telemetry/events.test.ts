import { describe, expect, test } from 'vitest'

import { SealiftError } from '../../../src/protocol/errors.ts'
import type { RouteName } from '../../../src/protocol/routes.ts'
import { createLiveConfig } from '../../../src/server/config/live-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'
import { createEvents } from '../../../src/server/telemetry/events.ts'
import type { EndedRequest } from '../../../src/server/telemetry/request-events.ts'
import { createLogger, describeError, redact } from '../../../src/server/telemetry/logger.ts'
import { createMetrics } from '../../../src/server/telemetry/metrics.ts'
import { createOneAddressAlarm } from '../../../src/server/telemetry/request-events.ts'

type LogLine = Readonly<Record<string, unknown>>

function world(log: { level?: string; format?: string } = {}) {
  const live = createLiveConfig(parseConfig({ log: { level: 'trace', ...log } }))
  const written: string[] = []
  const logger = createLogger({ live, destination: { write: line => void written.push(line) } })
  const metrics = createMetrics({
    ofProcess: false,
    sources: {
      inFlight: () => 0,
      waiting: () => 0,
      totals: () => Promise.reject(new Error('not asked')),
      space: () => Promise.reject(new Error('not asked')),
      ready: async () => true,
    },
  })
  const clock = { ms: 0 }
  const events = createEvents({ logger, metrics, now: () => clock.ms })
  return {
    live,
    logger,
    events,
    clock,
    written,
    lines: () => written.map(line => JSON.parse(line) as LogLine),
    page: async () => (await metrics.read()).body,
  }
}

const request = (changes: Partial<EndedRequest> = {}): EndedRequest => ({
  requestId: 'Ab3dEf9h1',
  route: 'readMedia',
  method: 'GET',
  status: 200,
  durationMs: 12.4,
  receivedBytes: 0,
  sentBytes: 0,
  clientId: 'subject:alice',
  forwarded: () => false,
  error: null,
  ...changes,
})

describe('requests', () => {
  test.each([
    ['beginUpload', 'debug', 'upload begun'],
    ['putPart', 'debug', 'part stored'],
    ['completeUpload', 'info', 'upload complete'],
    ['abortUpload', 'info', 'upload aborted'],
    ['readMedia', 'debug', 'media served'],
    ['endLease', 'info', 'lease ended'],
    ['publishParcel', 'info', 'parcel published'],
  ] as const)('%s is reported at %s as "%s"', (route: RouteName, level, msg) => {
    const { events, lines } = world()
    events.requestEnded(request({ route, status: 201 }))
    expect(lines()).toMatchObject([{ level, msg, route, status: 201, durationMs: 12, requestId: 'Ab3dEf9h1' }])
  })

  test('a refusal by a limit is reported with its limit, and counted', async () => {
    const { events, lines, page } = world()
    const context = { limit: 'concurrentDownloads', value: 4, remaining: 0 }
    events.requestEnded(request({ status: 429, error: new SealiftError('too_many_downloads', 'wait', { context }) }))
    expect(lines()).toMatchObject([
      { level: 'info', msg: 'refused by a limit', code: 'too_many_downloads', limit: 'concurrentDownloads' },
    ])
    expect(await page()).toContain('sealift_refusals_total{limit="concurrentDownloads"} 1')
    expect(await page()).toContain('sealift_errors_total{code="too_many_downloads"} 1')
  })

  test('what a client did wrong is no trouble; what we did wrong is, with its stack', () => {
    const { events, lines } = world()
    events.requestEnded(request({ status: 404, error: new SealiftError('not_found', 'Not found') }))
    events.requestEnded(request({ status: 507, error: new SealiftError('storage_full', 'The disk is full') }))
    events.requestEnded(request({ status: 500, error: new TypeError('x is not a function') }))
    expect(lines()).toMatchObject([
      { level: 'info', msg: 'refused', code: 'not_found' },
      { level: 'warn', msg: 'request failed', err: { code: 'storage_full', message: 'The disk is full' } },
      {
        level: 'error',
        msg: 'request failed',
        err: { type: 'TypeError', stack: expect.stringContaining('events.test') },
      },
    ])
  })

  test('a client appears under the same name in one run, another in the next, never its own', () => {
    const first = world()
    for (const clientId of ['subject:alice', 'subject:alice', 'subject:bob', null]) {
      first.events.requestEnded(request({ clientId }))
    }
    const [alice, again, bob, nobody] = first.lines().map(line => line['client'])
    expect(alice).toMatch(/^[0-9a-f]{12}$/)
    expect(again).toBe(alice)
    expect(bob).not.toBe(alice)
    expect(nobody).toBeUndefined()
    const second = world()
    second.events.requestEnded(request())
    expect(second.lines()[0]?.['client']).not.toBe(alice)
  })

  test('bytes of media are counted by direction, those of other routes are not', async () => {
    const { events, page } = world()
    events.requestEnded(request({ sentBytes: 1000 }))
    events.requestEnded(request({ route: 'putPart', receivedBytes: 300, sentBytes: 5 }))
    events.requestEnded(request({ route: 'storeMedia', receivedBytes: 30 }))
    events.requestEnded(request({ route: 'limits', receivedBytes: 7, sentBytes: 7 }))
    expect(await page()).toContain('sealift_transfer_bytes_total{direction="download"} 1000')
    expect(await page()).toContain('sealift_transfer_bytes_total{direction="upload"} 330')
  })
})

describe('the rest', () => {
  test('life, reloads, sweeps and health', async () => {
    const { events, lines, page } = world()
    events.serverStarted({ url: 'http://127.0.0.1:7325', adminUrl: null, version: '1.2.3', openMode: 'off' })
    events.configReloaded({ changed: ['log.level'], needRestart: ['listen.port'] })
    events.configRefused([{ key: 'listen.port', message: 'must be a number', origin: 's.yaml:3' }])
    events.upkeep.swept({ expire_leases: 3, delete_blobs: 0 }, 12)
    events.upkeep.swept({ expire_leases: 0 }, 12)
    events.upkeep.failed('delete_blobs', new SealiftError('unavailable', 'busy'), null)
    events.upkeep.bytesMissing({ blobId: 'b', expectedBytes: 5, storedBytes: null })
    events.upkeep.orphansSuspicious({ orphans: 50, blobs: 60 })
    events.failing('blobs', new SealiftError('storage_full', 'full'))
    events.failing('blobs', new SealiftError('storage_full', 'full'))
    events.recovered('blobs')
    events.recovered('blobs')
    events.serverStopping({ transfers: 2 })
    events.serverStopped({ durationMs: 3.7 })
    expect(lines().map(({ level, msg }) => `${String(level)} ${String(msg)}`)).toEqual([
      'info server started',
      'info configuration reloaded',
      'error configuration refused; the old one stays',
      'info swept',
      'debug swept',
      'error sweep failed; it is tried again',
      'error bytes are missing: run `sealift fsck`',
      'error many stored media have no record: none was deleted, the records may be the wrong ones',
      'error not working',
      'info works again',
      'info server stopping',
      'info server stopped',
    ])
    expect(lines()[0]).toMatchObject({ listen: 'http://127.0.0.1:7325' })
    expect(lines()[2]).toMatchObject({ problems: [{ key: 'listen.port', origin: 's.yaml:3' }] })
    expect(await page()).toContain('sealift_config_reloads_total{result="refused"} 1')
    expect(await page()).toContain('sealift_swept_total{task="expire_leases"} 3')
    expect(await page()).toContain('sealift_sweep_failures_total{task="delete_blobs"} 1')
  })

  test('a reload changes the level', () => {
    const { live, events, written } = world({ level: 'info' })
    events.requestEnded(request())
    expect(written).toHaveLength(0)
    live.apply(parseConfig({ log: { level: 'debug' } }))
    events.requestEnded(request())
    expect(written).toHaveLength(1)
  })

  test('for people: one line each, whatever is in it', () => {
    const { events, written, logger } = world({ format: 'pretty' })
    events.requestEnded(request({ route: 'completeUpload' }))
    logger.info({ odd: 'two\nlines' }, 'odd')
    expect(written[0]).toMatch(/^\d\d:\d\d:\d\d info {2}upload complete requestId=Ab3dEf9h1 route=completeUpload/)
    expect(written[1]).toMatch(/^\d\d:\d\d:\d\d info {2}odd odd="two\\nlines"\n$/)
  })
})

describe('threat 43: a proxy that is not listed', () => {
  test('is noticed when it carries nearly everything', () => {
    const { events, clock, lines } = world({ level: 'warn' })
    for (let i = 0; i < 1200; i += 1) {
      clock.ms += 600
      events.requestEnded(
        request({ clientId: i % 50 === 0 ? `address:10.0.0.${i % 7}` : 'address:10.1.1.1', forwarded: () => true }),
      )
    }
    expect(lines()).toMatchObject([{ level: 'warn', msg: expect.stringContaining('listen.trustedProxies') }])
  })

  test('many addresses, few requests, or one busy client without a proxy are no alarm', () => {
    const run = (count: number, address: (i: number) => string, forwarded: boolean) => {
      const alarm = createOneAddressAlarm()
      return Array.from({ length: count }, (_, i) =>
        alarm(address(i), () => forwarded, i * (601_000 / count)),
      ).includes(true)
    }
    expect(run(3000, i => `a${i % 20}`, true)).toBe(false)
    expect(run(500, () => 'a', true)).toBe(false)
    expect(run(3000, () => 'a', false)).toBe(false)
  })
})

describe('threat 65, threat 74: what must never be reported', () => {
  const id = 'abcdefghijklmnopqrstuvwx23'
  const secret = 'CANARY0vU3m1cQ8xPz0TtK9sWq2LrYb6NhJd4Ef'
  const signed = 'eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJDQU5BUlkifQ.Q0FOQVJZ-signature'
  const canaries = [id, secret, signed, 'holiday photo.jpg', 'alice@example.org', '203.0.113.77']

  test('is in no log line and no metric, wherever it comes from', async () => {
    const { events, logger, written, page } = world()
    const deep = new SealiftError('internal', `GET /v1/media/${id}?token=${secret}`, {
      cause: new Error(`Bearer ${secret} for http://h/p/${id}#${secret}`, { cause: new Error(signed) }),
      context: { limit: secret, token: secret },
    })
    for (const error of [
      deep,
      new SealiftError('unavailable', `no ${id}`, { cause: deep }),
      new Error(secret),
      signed,
    ]) {
      events.requestEnded(request({ clientId: 'subject:alice@example.org', error, status: 500 }))
      events.requestEnded(request({ clientId: 'address:203.0.113.77', method: `${secret} /`, error, status: null }))
      events.failing(`part${Math.random()}`, error)
      events.upkeep.failed('delete_blobs', error, null)
      events.bug('somewhere', error)
    }
    events.requestEnded(
      request({ error: new SealiftError('too_large', 'no', { context: { limit: 'holiday photo.jpg' } }) }),
    )
    logger.info({
      authorization: `Bearer ${secret}`,
      url: `/p/${id}`,
      query: secret,
      inner: { token: secret, name: 'holiday photo.jpg' },
    })
    const told = `${written.join('')}\n${await page()}`.replaceAll(/"limit":"[^"]*"/g, '')
    expect(written.length).toBeGreaterThan(15)
    for (const canary of canaries) expect(told).not.toContain(canary)
    expect(told).not.toContain('CANARY')
  })

  test('what is harmless stays readable', () => {
    const text =
      'ENOSPC: no space left on device, write (at SlotQueue.#grantFree file:///app/src/server/limits/memory/slot-limiter.ts:61:5)'
    expect(redact(text)).toBe(text)
    expect(describeError(new SealiftError('storage_full', 'The disk is full'), { stack: false })).toEqual({
      type: 'SealiftError',
      code: 'storage_full',
      message: 'The disk is full',
    })
    expect(describeError('a text', { stack: true })).toEqual({ type: 'string', code: null, message: 'not an Error' })
  })
})
