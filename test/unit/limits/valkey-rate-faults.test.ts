/** Rates while Valkey is away, and what is taken ahead. */
import { expect, test } from 'vitest'

import type { RateLimiter } from '../../../src/server/limits/limiter.ts'
import { createValkeyRateLimiter } from '../../../src/server/limits/valkey/rate-limiter.ts'
import { clusterNodes } from '../../support/cluster-nodes.ts'
import { startValkey } from '../../support/engines/valkey.ts'
import { eventually } from '../../support/eventually.ts'

async function twoLimiters() {
  const resources = new AsyncDisposableStack()
  const valkey = resources.use(await startValkey())
  const { nodes } = resources.use(await clusterNodes(2, { url: valkey.facts.url }))
  const [a, b] = nodes.map(node => resources.use(createValkeyRateLimiter({ node })))
  if (!a || !b) throw new Error('there are not two')
  return { valkey, nodes, a, b, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

async function taken(limiter: RateLimiter, key: string, rate: { perSecond: number; burst: number }): Promise<number> {
  let count = 0
  while ((await limiter.take(key, 1, rate)).ok) count += 1
  return count
}

test.each(['kill', 'pause'] as const)(
  'without Valkey (%s) each node keeps to its share; then they share again',
  async fault => {
    await using world = await twoLimiters()
    const { valkey, nodes, a, b } = world
    const rate = { perSecond: 0.001, burst: 40 }
    await valkey[fault]()
    const counts = [await taken(a, 'x', rate), await taken(b, 'x', rate)]
    expect(counts).toEqual([20, 20])
    // Bytes too: half the rate, so twice the pause.
    await a.charge('y', 1000, { perSecond: 1000, burst: 1000 })
    const pauseMs = await a.charge('y', 500, { perSecond: 1000, burst: 1000 })
    expect(pauseMs).toBeGreaterThan(1500)
    if (fault === 'kill') await valkey.restart()
    else valkey.resume()
    await eventually('both are back', () => nodes.every(({ phase }) => phase === 'joined'))
    expect((await taken(a, 'z', rate)) + (await taken(b, 'z', rate))).toBe(40)
  },
)

test('far from its limit a client is served from credit, and unused credit is refunded', async () => {
  await using world = await twoLimiters()
  const { a, b } = world
  const rate = { perSecond: 100, burst: 1000 }
  expect(a.take('x', 1, rate)).toBeInstanceOf(Promise)
  await eventually('some is taken ahead', () => !(a.take('x', 1, rate) instanceof Promise))
  // What `a` has taken ahead is there for `b` after a while: the bucket fills up to its burst again.
  let most = 0
  await eventually('all of the burst is there', async () => {
    const taken = await b.take('x', 1000, rate)
    most = Math.max(most, taken.ok ? 1000 : 0)
    return taken.ok
  })
  expect(most).toBe(1000)
})
