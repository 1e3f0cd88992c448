import { describe, expect, test } from 'vitest'

import { SealiftError } from '../../../src/protocol/errors.ts'
import { createAuthenticator } from '../../../src/server/access/authenticator.ts'
import { DeviceGate } from '../../../src/server/access/devices.ts'
import { createIdentifier } from '../../../src/server/http/gate.ts'
import { createProxyTrust } from '../../../src/server/access/client-address.ts'
import { hashToken, newToken } from '../../../src/server/access/tokens.ts'
import { WrongTokens } from '../../../src/server/limits/wrong-tokens.ts'
import { createLiveConfig } from '../../../src/server/config/live-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'
import type { SeenDevice } from '../../../src/server/records/record-types.ts'
import { MemoryRateLimiter } from '../../../src/server/limits/memory/rate-limiter.ts'

/** Devices as the record store keeps them, in memory. */
function deviceRecords() {
  const known = new Map<string, Set<string>>()
  const calls: { clientId: string; deviceId: string; cap: number; forgetBefore: number }[] = []
  return {
    calls,
    known,
    async noteDevice({ clientId, deviceId, cap, forgetBefore }: SeenDevice) {
      calls.push({ clientId, deviceId, cap, forgetBefore })
      const devices = known.get(clientId) ?? new Set()
      known.set(clientId, devices)
      if (!devices.has(deviceId) && devices.size >= cap) {
        throw new SealiftError('too_many_devices', 'Too many', { context: { limit: 'devices', value: cap } })
      }
      devices.add(deviceId)
    },
  }
}

const phone = newToken()
const laptop = newToken()
const tablet = newToken()
const local = newToken()

function world(devices = 2) {
  const tokens = [
    { subject: 'alice', sha256: hashToken(phone), device: 'phone' },
    { subject: 'alice', sha256: hashToken(laptop), device: 'laptop' },
    { subject: 'alice', sha256: hashToken(tablet), device: 'tablet' },
  ]
  const clock = { ms: 1_000_000_000_000 }
  const live = createLiveConfig(parseConfig({ access: { tokens }, tiers: { default: { devices } } }))
  const records = deviceRecords()
  const identify = createIdentifier({
    live,
    authenticator: createAuthenticator({
      live,
      clock: () => clock.ms,
      proxies: createProxyTrust(live),
      localTokenSha256: hashToken(local),
    }),
    devices: new DeviceGate({ live, records, clock: () => clock.ms }),
    wrongTokens: new WrongTokens({ rates: new MemoryRateLimiter({ now: () => clock.ms }), now: () => clock.ms }),
  })
  const ask = async (token: string | null, from = '127.0.0.1', capability = false) =>
    identify(
      { headers: token === null ? {} : { authorization: `Bearer ${token}` }, socket: { remoteAddress: from } },
      { capability },
    )
  return { clock, live, records, ask }
}

test('a client and the tier in force', async () => {
  const { live, ask } = world()
  expect(await ask(phone)).toMatchObject({ client: { clientId: 'subject:alice' }, tier: live.current.tiers['default'] })
  expect((await ask(local)).client).toMatchObject({ anonymous: true })
})

describe('devices', () => {
  test('one more than the tier allows is refused', async () => {
    const { ask } = world(2)
    await ask(phone)
    await ask(laptop)
    await expect(ask(tablet)).rejects.toMatchObject({ code: 'too_many_devices' })
    await ask(phone)
  })

  test('many requests of one device are one transaction', async () => {
    const { clock, records, ask } = world()
    await Promise.all(Array.from({ length: 50 }, () => ask(phone)))
    expect(records.calls).toHaveLength(1)
    expect(records.calls[0]).toMatchObject({ cap: 2, forgetBefore: clock.ms - 90 * 86_400_000 })
    clock.ms += 6 * 60_000
    await ask(phone)
    expect(records.calls).toHaveLength(2)
  })

  test('a refused device is let in soon after there is room', async () => {
    const { clock, records, ask } = world(1)
    await ask(phone)
    for (let i = 0; i < 20; i += 1) await expect(ask(laptop)).rejects.toMatchObject({ code: 'too_many_devices' })
    expect(records.calls).toHaveLength(2)
    records.known.get('subject:alice')?.delete('phone')
    clock.ms += 6000
    expect(await ask(laptop)).toBeDefined()
  })

  test('a failing database refuses the request and is asked again by the next', async () => {
    const { records, ask } = world()
    const noteDevice = records.noteDevice.bind(records)
    records.noteDevice = () => Promise.reject(new SealiftError('unavailable', 'busy'))
    await expect(ask(phone)).rejects.toMatchObject({ code: 'unavailable' })
    records.noteDevice = noteDevice
    expect(await ask(phone)).toBeDefined()
  })

  test('0 is no limit', async () => {
    const { ask } = world(0)
    for (const token of [phone, laptop, tablet]) expect(await ask(token)).toBeDefined()
  })
})

describe('wrong tokens', () => {
  test('an address that keeps sending them is slowed down; valid tokens and other addresses are not', async () => {
    const { ask } = world()
    const codes = new Set<string>()
    for (let i = 0; i < 220; i += 1) {
      await ask('wrong', '203.0.113.1').catch((error: unknown) => codes.add((error as SealiftError).code))
    }
    expect([...codes]).toEqual(['unauthorized', 'rate_limited'])
    expect(await ask(phone, '203.0.113.1')).toBeDefined()
    await expect(ask('wrong', '203.0.113.2')).rejects.toMatchObject({ code: 'unauthorized' })
  })
})
