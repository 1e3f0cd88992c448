/** Slots while nodes and Valkey fail. Each test has a Valkey of its own, since it is paused and killed. */
import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'

import { describe, expect, test } from 'vitest'

import type { NodeSlotLimiter, SlotRequest, TransferSlot } from '../../../src/server/limits/limiter.ts'
import { joinCluster } from '../../../src/server/cluster/cluster-node.ts'
import { slotKey } from '../../../src/server/limits/valkey/slot-script-client.ts'
import { clusterNodes } from '../../support/cluster-nodes.ts'
import { openClusterSlots } from '../../support/cluster-slots.ts'
import { startValkey } from '../../support/engines/valkey.ts'
import { eventually } from '../../support/eventually.ts'
import { startFlakyProxy } from '../../support/flaky-proxy.ts'
import { runSeed, seededRandom } from '../../support/random.ts'

const NEVER = new AbortController().signal
const CAP = 6
const LEASE_MS = 1000

const request = (changes: Partial<SlotRequest> = {}): SlotRequest => ({
  clientId: 'subject:a',
  direction: 'download',
  cap: CAP,
  queue: 1000,
  queueWaitMs: 60_000,
  ...changes,
})
const AT_ONCE = { queue: 0, queueWaitMs: 0 }

/**
 * @param commandTimeoutMs how long a link may be silent before a node is partitioned: long where it must not be
 * @param leaseTtlMs long where no slot may expire, however busy the machine is: a node that is blocked for a lease
 *   loses its slots, but this test counts them until it runs again
 */
async function twoLimiters(commandTimeoutMs = 10_000, leaseTtlMs = LEASE_MS) {
  const resources = new AsyncDisposableStack()
  const valkey = resources.use(await startValkey())
  const { nodes, prefix } = resources.use(
    await clusterNodes(2, { url: valkey.facts.url, leaseTtlMs, commandTimeoutMs }),
  )
  const [a, b] = await Promise.all(nodes.map(node => openClusterSlots(node)))
  if (!a || !b) throw new Error('there are not two')
  for (const limiter of [a, b]) resources.use(limiter)
  return { valkey, nodes, prefix, a, b, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

const take = (slots: NodeSlotLimiter, count: number, changes: Partial<SlotRequest> = {}) =>
  Promise.all(Array.from({ length: count }, () => slots.acquire(request(changes), NEVER)))
const refused = (slots: NodeSlotLimiter) =>
  slots.acquire(request(AT_ONCE), NEVER).then(
    () => 'granted',
    (error: { code: string }) => error.code,
  )
const held = (slots: NodeSlotLimiter) => slots.held('subject:a', 'download')
const aborted = (slots: readonly TransferSlot[]) => slots.filter(({ signal }) => signal.aborted).length

/** A node of its own process that holds slots. */
async function holder(url: string, prefix: string, count: number) {
  const args = ['test/support/slot-holder-child.ts', url, prefix, String(LEASE_MS), String(CAP), String(count)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', line => lines.push(line))
  await eventually('the other process holds its slots', () => lines.includes(`held ${count}`))
  return { child, lines, [Symbol.asyncDispose]: () => end(child) }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}

describe('a node', () => {
  test('that dies loses its slots within a lease, and queued requests get them', async () => {
    await using world = await twoLimiters()
    const { valkey, prefix, a } = world
    await using other = await holder(valkey.facts.url, prefix, CAP)
    expect(await refused(a)).toBe('too_many_downloads')
    const waiting = take(a, CAP)
    await end(other.child)
    const slots = await waiting
    expect(await held(a)).toBe(CAP)
    expect(aborted(slots)).toBe(0)
  })

  test('that was paused past its lease loses its slots, and the cap is exact', async () => {
    await using world = await twoLimiters()
    const { valkey, prefix, a, b } = world
    await using other = await holder(valkey.facts.url, prefix, CAP)
    other.child.kill('SIGSTOP')
    const slots = [...(await take(a, CAP / 2)), ...(await take(b, CAP / 2))]
    expect(await refused(a)).toBe('too_many_downloads')
    other.child.kill('SIGCONT')
    await eventually('all are lost', () => other.lines.filter(line => line === 'lost').length === CAP)
    expect(await held(a)).toBe(CAP)
    expect(aborted(slots)).toBe(0)
  })

  test('that was paused while no other node asked for its slots still holds them', async () => {
    await using world = await twoLimiters()
    const { valkey, prefix, a } = world
    await using other = await holder(valkey.facts.url, prefix, CAP)
    other.child.kill('SIGSTOP')
    await eventually('they have lapsed', async () => (await held(a)) === 0)
    other.child.kill('SIGCONT')
    await eventually('they are renewed', async () => (await held(a)) === CAP)
    expect(other.lines).not.toContain('lost')
  })
})

describe('a flushed Valkey', () => {
  test('counts what nodes hold before it grants anything', async () => {
    await using world = await twoLimiters()
    const { valkey, a, b } = world
    const slots = [...(await take(a, 4)), ...(await take(b, 2))]
    await valkey.flush()
    const asked = await Promise.all([refused(a), refused(b), refused(a)])
    expect(asked).toEqual(['too_many_downloads', 'too_many_downloads', 'too_many_downloads'])
    expect(await held(a)).toBe(CAP)
    expect(aborted(slots)).toBe(0)
  })

  test('preserves the queue, in order', async () => {
    await using world = await twoLimiters()
    const { valkey, a, b } = world
    const slots = await take(a, CAP)
    const order: string[] = []
    const waiting = [a, b, a, b].map(async (slots, index) => {
      using _ = await slots.acquire(request(), NEVER)
      order.push(String(index))
    })
    await eventually('all wait', () => a.waiting('download') + b.waiting('download') === 4)
    await Promise.all([held(a), held(b)])
    await valkey.flush()
    for (const slot of slots) slot[Symbol.dispose]()
    await Promise.all(waiting)
    expect(order.toSorted()).toEqual(['0', '1', '2', '3'])
    expect(order.indexOf('0')).toBeLessThan(order.indexOf('2'))
    await eventually('all are back', async () => (await held(a)) === 0)
  })

  test('a storm through flushes: never over the cap, all served, nothing left', async () => {
    const seed = runSeed()
    const random = seededRandom(seed)
    await using world = await twoLimiters(30_000, 30_000)
    const { valkey, a, b } = world
    const watch = { now: 0, most: 0, served: 0 }
    const transfer = async () => {
      using _ = await random.pick([a, b]).acquire(request(), NEVER)
      watch.now += 1
      watch.most = Math.max(watch.most, watch.now)
      await new Promise(resolve => setTimeout(resolve, random.int(8)))
      watch.now -= 1
      watch.served += 1
    }
    const all = Promise.all(Array.from({ length: 200 }, transfer))
    for (let round = 0; round < 4; round += 1) {
      await new Promise(resolve => setTimeout(resolve, random.int(40)))
      await valkey.flush()
    }
    await all
    expect(watch, `seed ${seed}`).toEqual({ now: 0, most: CAP, served: 200 })
    await eventually('all are back', async () => (await held(a)) === 0)
  })
})

describe('a node that starts right after Valkey has lost everything', () => {
  test('by a flush, grants nothing that others hold', async () => {
    await using world = await twoLimiters()
    const { valkey, prefix, a, b } = world
    const slots = [...(await take(a, CAP - 1)), ...(await take(b, 1))]
    await valkey.flush()
    await using late = await joinCluster({ url: valkey.facts.url, prefix, leaseTtlMs: LEASE_MS })
    await using c = await openClusterSlots(late)
    expect(await refused(c)).toBe('too_many_downloads')
    expect(await held(a)).toBe(CAP)
    expect(aborted(slots)).toBe(0)
  })
})

describe('Valkey that comes back with an old snapshot', () => {
  test('grants nothing before all nodes have reported what they hold', async () => {
    await using resources = new AsyncDisposableStack()
    const valkey = resources.use(await startValkey())
    const proxy = resources.use(await startFlakyProxy(valkey.facts.url))
    const options = { prefix: 'old:', leaseTtlMs: LEASE_MS, commandTimeoutMs: 10_000 }
    const limiterAt = async (url: string) => {
      const node = resources.use(await joinCluster({ url, ...options }))
      return { node, slots: resources.use(await openClusterSlots(node)) }
    }
    const a = await limiterAt(valkey.facts.url)
    const b = await limiterAt(proxy.url.replace('http:', 'redis:'))
    await eventually('both know of both', () => a.node.nodes + b.node.nodes === 4)
    const slots = [...(await take(a.slots, 1))]
    await valkey.command('SAVE')
    slots.push(...(await take(b.slots, CAP - 1)))
    proxy.target = 'http://127.0.0.1:9'
    await valkey.restart()
    await eventually('one is back', () => a.node.phase === 'joined')
    const asked = refused(a.slots)
    await new Promise(resolve => void setTimeout(resolve, 100))
    proxy.target = valkey.facts.url
    expect(await asked).toBe('too_many_downloads')
    expect(await held(a.slots)).toBe(CAP)
    expect(aborted(slots)).toBe(0)
  })
})

describe('without Valkey', () => {
  test('a queued request that was granted by a partitioned node leaves the queue', async () => {
    await using world = await twoLimiters(300)
    const { valkey, nodes, prefix, a, b } = world
    const before = await take(a, CAP)
    const waiting = take(b, 3)
    await eventually('they wait', () => b.waiting('download') === 3)
    valkey.pause()
    await waiting
    valkey.resume()
    await eventually('both are back', () => nodes.every(({ phase }) => phase === 'joined'))
    const queue = `${prefix}slots:waiting:${slotKey('subject:a', 'download')}`
    await eventually('all are counted', async () => (await held(a)) === CAP)
    await Promise.all([held(a), held(b)])
    expect(await valkey.command('ZCARD', queue)).toBe(0)
    const lost = aborted(await waiting)
    for (const slot of [...before, ...(await waiting)]) slot[Symbol.dispose]()
    expect(lost).toBe(3)
    await eventually('all are back', async () => (await held(a)) === 0, LEASE_MS / 2)
  })

  test.each([
    ['is killed', 'kill'],
    ['hangs', 'pause'],
  ] as const)(
    'that %s, what runs goes on, each node grants its share, and it is shared again by itself',
    async (_, fault) => {
      await using world = await twoLimiters(300)
      const { valkey, nodes, a, b } = world
      const before = await take(a, 2)
      await valkey[fault]()
      // Two more make the share of three.
      const alone = [...(await take(a, 1)), ...(await take(b, 3))]
      expect(nodes.map(({ phase }) => phase)).toEqual(['partitioned', 'partitioned'])
      expect([await refused(a), await refused(b)]).toEqual(['too_many_downloads', 'too_many_downloads'])
      expect(aborted([...before, ...alone])).toBe(0)
      if (fault === 'kill') await valkey.restart()
      else valkey.resume()
      await eventually('both are back', () => nodes.every(({ phase }) => phase === 'joined'))
      await eventually('all are counted', async () => (await held(a)) === CAP)
      expect([await refused(a), await refused(b)]).toEqual(['too_many_downloads', 'too_many_downloads'])
      for (const slot of before) slot[Symbol.dispose]()
      await eventually('they are back', async () => (await held(b)) === CAP - 2)
      await take(b, 2, AT_ONCE)
    },
  )

  test('for less than a command timeout, requests wait, and the cap is exact', async () => {
    await using world = await twoLimiters()
    const { valkey, a, b } = world
    const slots = await take(a, CAP)
    await valkey.restart()
    const waiting = take(b, 1)
    await eventually('all are counted again', async () => (await held(b)) === CAP)
    expect(b.waiting('download')).toBe(1)
    slots[0]?.[Symbol.dispose]()
    await waiting
    expect(aborted(slots)).toBe(0)
  })

  test('a queue is served from the share of its node', async () => {
    await using world = await twoLimiters(300)
    const { valkey, a, b } = world
    const slots = await take(a, CAP)
    const waiting = take(b, 3)
    await eventually('they wait', () => b.waiting('download') === 3)
    await valkey.kill()
    await waiting
    const late = take(b, 1)
    await eventually('it waits', () => b.waiting('download') === 1)
    ;(await waiting)[0]?.[Symbol.dispose]()
    await late
    expect(aborted(slots)).toBe(0)
  })
})
