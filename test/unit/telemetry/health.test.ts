import { request } from 'undici'
import { afterEach, describe, expect, test } from 'vitest'

import { parseConfig } from '../../../src/server/config/parse-config.ts'
import type { RawMap } from '../../../src/server/config/raw.ts'
import {
  adminAddress,
  type AdminAddress,
  type AdminServer,
  startAdminServer,
} from '../../../src/server/telemetry/admin-server.ts'
import { createHealth, type HealthOptions } from '../../../src/server/telemetry/health.ts'

function world(options: Partial<HealthOptions> = {}) {
  const told: string[] = []
  const clock = { ms: 0 }
  const state = { works: true, probed: 0 }
  const health = createHealth({
    probes: {
      blobs: async () => {
        state.probed += 1
        if (!state.works) throw new Error('the disk is gone')
      },
      records: async () => undefined,
    },
    events: { failing: part => void told.push(`failing ${part}`), recovered: part => void told.push(`works ${part}`) },
    now: () => clock.ms,
    ...options,
  })
  return { told, clock, state, health }
}

describe('readiness', () => {
  test('is green while everything works, red when a part fails, green again after', async () => {
    const { clock, state, health, told } = world()
    expect(await health.readiness()).toEqual({ status: 'ok', checks: { blobs: 'ok', records: 'ok' } })
    state.works = false
    clock.ms += 2000
    expect(await health.readiness()).toEqual({ status: 'failing', checks: { blobs: 'failing', records: 'ok' } })
    expect(told).toContain('failing blobs')
    state.works = true
    clock.ms += 2000
    expect((await health.readiness()).status).toBe('ok')
  })

  test('is looked at once for all who ask within a while', async () => {
    const { clock, state, health } = world()
    await Promise.all(Array.from({ length: 50 }, () => health.readiness()))
    clock.ms += 1999
    await health.readiness()
    expect(state.probed).toBe(1)
    clock.ms += 1
    await health.readiness()
    expect(state.probed).toBe(2)
  })

  test('a probe that hangs is failing, and is not started again until it returns', async () => {
    let started = 0
    const { promise, resolve } = Promise.withResolvers<void>()
    const { clock, health } = world({
      timeoutMs: 5,
      probes: {
        records: () => {
          started += 1
          return started === 1 ? promise : Promise.resolve()
        },
      },
    })
    expect((await health.readiness()).status).toBe('failing')
    clock.ms += 2000
    expect((await health.readiness()).status).toBe('failing')
    expect(started).toBe(1)
    resolve()
    await promise
    clock.ms += 2000
    expect((await health.readiness()).status).toBe('ok')
    expect(started).toBe(2)
  })

  test('a probe that hangs is not waited for again', async () => {
    const { health } = world({
      timeoutMs: 1000,
      cacheMs: 0,
      now: () => performance.now(),
      probes: { records: () => new Promise(() => undefined) },
    })
    expect((await health.readiness()).checks).toEqual({ records: 'failing' })
    const startedAt = performance.now()
    expect((await health.readiness()).checks).toEqual({ records: 'failing' })
    expect(performance.now() - startedAt).toBeLessThan(800)
  })

  test('is red at once when the server stops', async () => {
    const { health } = world()
    await health.readiness()
    health.stopping()
    expect(await health.readiness()).toMatchObject({ status: 'failing', checks: { running: 'failing', blobs: 'ok' } })
  })
})

const ADDRESS: AdminAddress = { host: '127.0.0.1', port: 0, mayMove: false, hosts: [], backlog: 16 }

describe('the admin listener', () => {
  let server: AdminServer | null = null
  afterEach(() => server?.[Symbol.asyncDispose]())

  async function start(
    health = world().health,
    metrics = async () => ({ contentType: 'text/plain; version=0.0.4', body: 'up 1\n' }),
    address: Partial<AdminAddress> = {},
  ) {
    const errors: unknown[] = []
    server = await startAdminServer({
      address: { ...ADDRESS, ...address },
      health,
      metrics: { read: metrics },
      onError: error => void errors.push(error),
    })
    return { url: server.url, errors }
  }

  test('serves metrics and health, and nothing else', async () => {
    const { url } = await start()
    const metrics = await fetch(`${url}/metrics?x=1`)
    expect([metrics.status, metrics.headers.get('content-type'), await metrics.text()]).toEqual([
      200,
      'text/plain; version=0.0.4',
      'up 1\n',
    ])
    expect(await (await fetch(`${url}/healthz`)).json()).toEqual({ status: 'ok' })
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    expect((await fetch(`${url}/v1/limits`)).status).toBe(404)
    expect((await fetch(`${url}/__proto__`)).status).toBe(404)
    const post = await fetch(`${url}/metrics`, { method: 'POST', body: 'x' })
    expect([post.status, post.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
    const head = await fetch(`${url}/metrics`, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([200, '5', ''])
  })

  test('readiness is 503 when something fails', async () => {
    const { state, health } = world()
    state.works = false
    const { url } = await start(health)
    const response = await fetch(`${url}/readyz`)
    expect([response.status, await response.json()]).toMatchObject([503, { status: 'failing' }])
  })

  test('threat 65: a failure is reported to the log, not to the caller', async () => {
    const { url, errors } = await start(undefined, () => Promise.reject(new Error('CANARY')))
    const response = await fetch(`${url}/metrics`)
    expect([response.status, await response.text()]).toEqual([500, 'failed\n'])
    expect(errors).toHaveLength(1)
  })

  test('a port that is taken is an error at once', async () => {
    const { url } = await start()
    const options = {
      address: { ...ADDRESS, port: Number(new URL(url).port) },
      health: world().health,
      metrics: { read: async () => ({ contentType: '', body: '' }) },
      onError: () => undefined,
    }
    await expect(startAdminServer(options)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await using moved = await startAdminServer({ ...options, address: { ...options.address, mayMove: true } })
    expect(moved.url).not.toBe(url)
    expect((await fetch(`${moved.url}/healthz`)).status).toBe(200)
  })

  test("its port is the default one, or any where that is the server's own; one that is set stays", () => {
    const addressOf = (raw: RawMap) => adminAddress(parseConfig(raw))
    expect(addressOf({})).toMatchObject({ port: 7326, mayMove: true })
    expect(addressOf({ listen: { port: 7326 } })).toMatchObject({ port: 0, mayMove: true })
    expect(addressOf({ admin: { port: 7326 } })).toMatchObject({ port: 7326, mayMove: false })
  })

  async function statusFor(url: string, host: string): Promise<number> {
    const { statusCode, body } = await request(`${url}/metrics`, { headers: { host } })
    expect((await body.text()).includes('admin.hosts')).toBe(statusCode === 421)
    return statusCode
  }

  test('DNS rebinding: a page that names this machine by a name of its own gets nothing', async () => {
    const { url } = await start()
    const { port } = new URL(url)
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '10.0.0.1',
      '',
    ]) {
      expect(await statusFor(url, host), host).toBe(421)
    }
    for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, 'LOCALHOST', '[::1]', '127.8.9.10']) {
      expect(await statusFor(url, host), host).toBe(200)
    }
  })

  test('beyond this machine it is called by an address, or by a name that the operator has listed', async () => {
    const { url } = await start(undefined, undefined, { host: '0.0.0.0', hosts: ['Metrics.internal'] })
    const local = url.replace('0.0.0.0', '127.0.0.1')
    for (const host of ['10.0.0.7:7326', '[2001:db8::1]', 'metrics.internal:7326', 'localhost']) {
      expect(await statusFor(local, host), host).toBe(200)
    }
    expect(await statusFor(local, 'sealift.evil.example')).toBe(421)
  })
})
