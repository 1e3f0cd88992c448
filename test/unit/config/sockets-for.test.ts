import { describe, expect, test } from 'vitest'

import { parseConfig } from '../../../src/server/config/parse-config.ts'
import { socketsFor } from '../../../src/server/compose/open-stores.ts'

const socketsOf = (tiers: Record<string, object>): number => socketsFor(parseConfig({ tiers }).tiers)

describe('connections to the storage service', () => {
  test('are enough for many clients at the caps of the default tier', () => {
    expect(socketsOf({ default: { concurrentUploads: 32, concurrentDownloads: 64 } })).toBe(16 * 2 * 64)
  })

  test('grow with the largest cap of any tier', () => {
    const tiers = { default: { concurrentDownloads: 4 }, staff: { concurrentUploads: 100, concurrentDownloads: 10 } }
    expect(socketsOf(tiers)).toBe(16 * 2 * 100)
  })

  test('are never too few for small caps, nor without end for large ones', () => {
    expect(socketsOf({ default: { concurrentUploads: 1, concurrentDownloads: 1 } })).toBe(256)
    expect(socketsOf({ default: { concurrentDownloads: 100_000 } })).toBe(10_000)
  })
})
