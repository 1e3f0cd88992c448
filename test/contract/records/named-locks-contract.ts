import { describe, expect, it } from 'vitest'

import { eventually } from '../../support/eventually.ts'
import type { Records } from '../record-store-contract.ts'

const LONG_MS = 60_000

export function namedLocksContract(records: Records): void {
  describe('leases by name', () => {
    it('are held by one, who may keep them on', async () => {
      const lease = await records().acquireLock('sweep', 'a', LONG_MS)
      expect(lease).toMatchObject({ name: 'sweep', holder: 'a' })
      expect(await records().acquireLock('sweep', 'b', LONG_MS)).toBeNull()
      const kept = await records().acquireLock('sweep', 'a', 2 * LONG_MS)
      expect(kept?.fence).toBe(lease?.fence)
      expect(kept?.expiresAt).toBeGreaterThan((lease?.expiresAt ?? 0) + LONG_MS / 2)
      expect(lease && (await records().renewLock(lease, 3 * LONG_MS))).toMatchObject({ fence: lease?.fence })
      expect(await records().acquireLock('another', 'b', LONG_MS)).toMatchObject({ holder: 'b' })
    })

    it('are taken by one of many who come at once', async () => {
      const holders = Array.from({ length: 20 }, (_, index) => `node ${index}`)
      const taken = await Promise.all(holders.map(holder => records().acquireLock('sweep', holder, LONG_MS)))
      expect(taken.filter(lease => lease !== null)).toHaveLength(1)
    })

    it('pass on with a higher fence when they lapse, and are lost to who held them', async () => {
      const first = await records().acquireLock('sweep', 'a', 1)
      if (!first) throw new Error('a free lease was refused')
      await eventually('the lease lapses', async () => (await records().acquireLock('sweep', 'b', LONG_MS)) !== null)
      const second = await records().acquireLock('sweep', 'b', LONG_MS)
      expect(second?.fence).toBeGreaterThan(first.fence)
      expect(await records().renewLock(first, LONG_MS)).toBeNull()
      await records().releaseLock(first)
      expect(await records().acquireLock('sweep', 'a', LONG_MS)).toBeNull()
    })

    it('that lapsed can still be renewed while no other holder wanted them', async () => {
      const lease = await records().acquireLock('sweep', 'a', 1)
      if (!lease) throw new Error('a free lease was refused')
      await eventually('the lease lapses', async () => (await records().databaseTime()) > lease.expiresAt)
      expect(await records().renewLock(lease, LONG_MS)).toMatchObject({ fence: lease.fence })
      expect(await records().acquireLock('sweep', 'b', LONG_MS)).toBeNull()
    })

    it('pass on at once when they are released, and a higher fence distinguishes two holds of one holder', async () => {
      const first = await records().acquireLock('sweep', 'a', LONG_MS)
      if (!first) throw new Error('a free lease was refused')
      await records().releaseLock(first)
      expect(await records().renewLock(first, LONG_MS)).toBeNull()
      const second = await records().acquireLock('sweep', 'a', LONG_MS)
      expect(second?.fence).toBeGreaterThan(first.fence)
      expect(await records().renewLock(first, LONG_MS)).toBeNull()
    })

    it('end by the clock of the database', async () => {
      const before = await records().databaseTime()
      const lease = await records().acquireLock('sweep', 'a', LONG_MS)
      const after = await records().databaseTime()
      expect(Math.abs(before - Date.now())).toBeLessThan(LONG_MS)
      expect(lease?.expiresAt).toBeGreaterThanOrEqual(before + LONG_MS)
      expect(lease?.expiresAt).toBeLessThanOrEqual(after + LONG_MS)
    })
  })
}
