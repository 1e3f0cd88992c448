import { describe, expect, it } from 'vitest'

import { NOW } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

const HOUR = 3_600_000
const FORGET_BEFORE = NOW - 24 * HOUR

export function clientsContract(records: Records): void {
  describe('clients', () => {
    const see = (device: string, now = NOW, client = 'alice') =>
      records().noteDevice({ clientId: client, deviceId: device, cap: 2, now, forgetBefore: now - 24 * HOUR })

    it('use nothing before they come', async () => {
      expect(await records().usage('unknown-client')).toMatchObject({
        storedBytes: 0,
        reservedBytes: 0,
        pendingUploads: 0,
      })
      expect(await records().countDevices('unknown-client', FORGET_BEFORE)).toBe(0)
    })

    it('may use as many devices as they may, each counted once', async () => {
      await see('phone')
      await see('laptop')
      await see('phone', NOW + HOUR)
      await expect(see('tablet')).rejects.toMatchObject({
        code: 'too_many_devices',
        context: { limit: 'devices', value: 2 },
      })
      expect(await records().countDevices('alice', FORGET_BEFORE)).toBe(2)
      await see('tablet', NOW, 'bob')
    })

    it('are held to it when many new devices come at once', async () => {
      const outcomes = await Promise.allSettled(Array.from({ length: 30 }, (_, index) => see(`device ${index}`)))
      expect(outcomes.filter(outcome => outcome.status === 'fulfilled')).toHaveLength(2)
    })

    it('may replace a device that was not seen for long; it then counts as new itself', async () => {
      await see('phone')
      await see('laptop', NOW + 20 * HOUR)
      await see('tablet', NOW + 25 * HOUR)
      await expect(see('phone', NOW + 25 * HOUR)).rejects.toMatchObject({ code: 'too_many_devices' })
      expect(await records().countDevices('alice', NOW + HOUR)).toBe(2)
    })
  })
}
