import { expect, test } from 'vitest'

import { limits } from '../../../src/protocol/schemas.ts'
import { type Client, tierOf } from '../../../src/server/access/caller.ts'
import { createLiveConfig } from '../../../src/server/config/live-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'
import { reportLimits } from '../../../src/server/limits/limits-report.ts'
import { createMemorySlotLimiter } from '../../../src/server/limits/memory/slot-limiter.ts'
import type { Usage } from '../../../src/server/records/record-types.ts'

const config = parseConfig({
  tiers: { pro: { storedBytes: '10kB', storedRows: 100, pendingBytes: '2kB', pendingUploads: 3 } },
})
const client: Client = { clientId: 'subject:a', anonymous: false, tier: 'pro', device: null }

function reportWith(usage: Usage) {
  const slots = createMemorySlotLimiter()
  const records = { usage: async () => usage, countDevices: async () => 2 }
  return {
    slots,
    report: () => reportLimits({ live: createLiveConfig(config), records, slots, clock: () => 0 }, client),
  }
}

test('holds the limits of the tier, the usage and what remains, as the wire contract says', async () => {
  const { slots, report } = reportWith({ storedBytes: 4000, storedRows: 30, reservedBytes: 500, pendingUploads: 1 })
  using _slot = await slots.acquire(
    { clientId: 'subject:a', direction: 'upload', cap: 1, queue: 0, queueWaitMs: 0 },
    new AbortController().signal,
  )
  const told = await report()
  expect(limits.strict().parse(told)).toEqual(told)
  expect(told.limits).not.toHaveProperty('queueWaitMs')
  expect(told).toMatchObject({
    client: { tier: 'pro', anonymous: false },
    limits: { storedBytes: 10_000, concurrentUploads: 32 },
    usage: { uploads: 1, downloads: 0, storedBytes: 4000, storedRows: 30, reservedBytes: 500, devices: 2 },
    remaining: { storedBytes: 5500, storedRows: 70, pendingUploads: 2, pendingBytes: 1500 },
  })
})

test('what is over a lowered limit leaves nothing, not less than nothing', async () => {
  const { report } = reportWith({ storedBytes: 40_000, storedRows: 200, reservedBytes: 9000, pendingUploads: 10 })
  expect((await report()).remaining).toEqual({ storedBytes: 0, storedRows: 0, pendingUploads: 0, pendingBytes: 0 })
})

test('a tier that is gone from the configuration counts as the default one', () => {
  expect(tierOf(config, { tier: 'gold' })).toBe(config.tiers['default'])
  expect(tierOf(config, { tier: 'constructor' })).toBe(config.tiers['default'])
})
