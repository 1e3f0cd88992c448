import { describe, expect, it } from 'vitest'

import { eventually } from '../../support/eventually.ts'
import type { Records } from '../record-store-contract.ts'

const LONG_MS = 60_000

export function namedLeasesContract(records: Records): void {
  describe('leases by name', () => {
    it('are held by one, who may keep them on', async () => {
      const lease = await records().acquireLease('sweep', 'a', LONG_MS)
      expect(lease).toMatchObject({ name: 'sweep', holder: 'a' })
      expect(await records().acquireLease('sweep', 'b', LONG_MS)).toBeNull()
      const kept = await records().acquireLease('sweep', 'a', 2 * LONG_MS)
      expect(kept?.fence).toBe(lease?.fence)
      expect(kept?.expiresAt).toBeGreaterThan((lease?.expiresAt ?? 0) + LONG_MS / 2)
      expect(lease && (await records().renewLease(lease, 3 * LONG_MS))).toMatchObject({ fence: lease?.fence })
      expect(await records().acquireLease('another', 'b', LONG_MS)).toMatchObject({ holder: 'b' })
    })

    it('are taken by one of many who come at once', async () => {
      const holders = Array.from({ length: 20 }, (_, index) => `node ${index}`)
      const taken = await Promise.all(holders.map(holder => records().acquireLease('sweep', holder, LONG_MS)))
      expect(taken.filter(lease => lease !== null)).toHaveLength(1)
    })

    it('pass on with a higher fence when they lapse, and are lost to who held them', async () => {
      const first = await records().acquireLease('sweep', 'a', 1)
      if (!first) throw new Error('a free lease was refused')
      await eventually('the lease lapses', async () => (await records().acquireLease('sweep', 'b', LONG_MS)) !== null)
      const second = await records().acquireLease('sweep', 'b', LONG_MS)
      expect(second?.fence).toBeGreaterThan(first.fence)
      expect(await records().renewLease(first, LONG_MS)).toBeNull()
      await records().releaseLease(first)
      expect(await records().acquireLease('sweep', 'a', LONG_MS)).toBeNull()
    })

    it('that lapsed while nobody wanted them are still kept on', async () => {
      const lease = await records().acquireLease('sweep', 'a', 1)
      if (!lease) throw new Error('a free lease was refused')
      await eventually('the lease lapses', async () => (await records().databaseTime()) > lease.expiresAt)
      expect(await records().renewLease(lease, LONG_MS)).toMatchObject({ fence: lease.fence })
      expect(await records().acquireLease('sweep', 'b', LONG_MS)).toBeNull()
    })

    it('pass on at once when they are released, and a higher fence tells the same holder apart', async () => {
      const first = await records().acquireLease('sweep', 'a', LONG_MS)
      if (!first) throw new Error('a free lease was refused')
      await records().releaseLease(first)
      expect(await records().renewLease(first, LONG_MS)).toBeNull()
      const second = await records().acquireLease('sweep', 'a', LONG_MS)
      expect(second?.fence).toBeGreaterThan(first.fence)
      expect(await records().renewLease(first, LONG_MS)).toBeNull()
    })

    it('end by the clock of the database', async () => {
      const before = await records().databaseTime()
      const lease = await records().acquireLease('sweep', 'a', LONG_MS)
      const after = await records().databaseTime()
      expect(Math.abs(before - Date.now())).toBeLessThan(LONG_MS)
      expect(lease?.expiresAt).toBeGreaterThanOrEqual(before + LONG_MS)
      expect(lease?.expiresAt).toBeLessThanOrEqual(after + LONG_MS)
    })
  })
}
