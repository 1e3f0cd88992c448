/** The arithmetic in the script against that of memory/rate-limiter.ts, by the server's clock. */
import { randomBytes } from 'node:crypto'

import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { openValkeyLink } from '../../../src/server/cluster/valkey-link.ts'
import { gcraCharge, gcraTake } from '../../../src/server/limits/memory/rate-limiter.ts'
import type { Rate } from '../../../src/server/limits/limiter.ts'
import { RATES } from '../../../src/server/limits/valkey/rate-script.ts'
import { sharedEngine } from '../../support/engines/shared.ts'
import { valkeyEngine } from '../../support/engines/valkey.ts'

const asks = fc.array(
  fc.record({
    kind: fc.constantFrom('take' as const, 'charge' as const, 'refund' as const),
    cost: fc.integer({ min: 0, max: 60 }),
    ahead: fc.integer({ min: 0, max: 20 }),
  }),
  { minLength: 1, maxLength: 60 },
)
// So slow that the microseconds between two asks of one script are no unit.
const rates = fc.record({
  perSecond: fc.double({ min: 0.001, max: 10, noNaN: true }),
  burst: fc.integer({ min: 1, max: 300 }),
})

interface Outcome {
  readonly ok: boolean
  readonly extra: number
  readonly waitMs: number
}

/** The expected reply of the script, and the state after it. */
function model(fullAt: number, { kind, cost, ahead }: { kind: string; cost: number; ahead: number }, rate: Rate) {
  const msPerUnit = 1000 / rate.perSecond
  if (kind === 'refund') return { ok: true, extra: 0, waitMs: 0, fullAt: Math.max(0, fullAt - cost * msPerUnit) }
  if (kind === 'charge') return { extra: ahead, ...gcraCharge(fullAt, 0, cost + ahead, rate) }
  const taken = gcraTake(fullAt, 0, cost, rate)
  // Half of the burst stays for others.
  const room = taken.ok ? Math.floor(rate.burst / 2 - taken.fullAt / msPerUnit) : 0
  const extra = Math.max(0, Math.min(ahead, room))
  return { ...taken, extra, fullAt: taken.fullAt + extra * msPerUnit }
}

test('property: takes, charges and refunds as in memory, one after the other', async () => {
  const { url } = await sharedEngine(valkeyEngine)
  await using link = await openValkeyLink({ url, prefix: `test-${randomBytes(6).toString('hex')}:` })
  let keys = 0
  const run = async (
    asked: readonly { kind: string; cost: number; ahead: number }[],
    rate: Rate,
  ): Promise<Outcome[]> => {
    const key = `${link.prefix}${(keys += 1)}`
    const args = asked.flatMap(({ kind, cost, ahead }) => [kind, cost, ahead, rate.perSecond, rate.burst].map(String))
    const script = await link.run(
      RATES,
      asked.map(() => key),
      args,
    )
    const flat = script as number[]
    return asked.map((_, index) => {
      const [ok = 0, extra = 0, waitUs = 0] = flat.slice(3 * index, 3 * index + 3)
      return { ok: ok === 1, extra, waitMs: waitUs / 1000 }
    })
  }
  await fc.assert(
    fc.asyncProperty(asks, rates, async (asked, rate) => {
      let fullAt = 0
      for (const [index, outcome] of (await run(asked, rate)).entries()) {
        const ask = asked[index]
        if (!ask) throw new Error('a reply to no command')
        const expected = model(fullAt, ask, rate)
        // Within what rounding to whole microseconds may do; at the very edge it may fall either way.
        expect(Math.abs(outcome.waitMs - expected.waitMs)).toBeLessThan(0.1)
        expect(Math.abs(outcome.extra - expected.extra)).toBeLessThanOrEqual(1)
        const isEdge = outcome.ok !== expected.ok && Math.max(outcome.waitMs, expected.waitMs) < 0.1
        expect(isEdge || outcome.ok === expected.ok).toBe(true)
        fullAt =
          isEdge && !outcome.ok ? fullAt : expected.fullAt + (outcome.extra - expected.extra) * (1000 / rate.perSecond)
      }
    }),
    { numRuns: 100 },
  )
})

test('a bucket that is full again is forgotten, and one that is not is not', async () => {
  const { url } = await sharedEngine(valkeyEngine)
  await using link = await openValkeyLink({ url, prefix: `test-${randomBytes(6).toString('hex')}:` })
  const keys = ['soon', 'late'].map(name => link.prefix + name)
  await link.run(RATES, keys, ['take', '1', '0', '1000', '10', 'charge', '100', '0', '1', '10'])
  expect(Number(await link.send(['PTTL', `${link.prefix}soon`]))).toBeLessThanOrEqual(3)
  expect(Number(await link.send(['PTTL', `${link.prefix}late`]))).toBeGreaterThan(99_000)
  await link.run(RATES, [`${link.prefix}late`], ['refund', '100', '0', '1', '10'])
  expect(await link.send(['EXISTS', `${link.prefix}late`])).toBe(0)
})
