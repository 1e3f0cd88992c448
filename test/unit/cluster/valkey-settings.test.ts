import { createHash, randomBytes } from 'node:crypto'

import { expect, test } from 'vitest'

import type { Credential } from '../../../src/server/access/caller.ts'
import { createSessions } from '../../../src/server/access/sessions.ts'
import { shareSettings } from '../../../src/server/cluster/shared-settings.ts'
import { createLiveConfig } from '../../../src/server/config/live-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'
import type { RawMap } from '../../../src/server/config/raw.ts'
import { readTiers, writeTiers } from '../../../src/server/config/write-config.ts'
import { clusterNodes } from '../../support/cluster-nodes.ts'
import { startValkey } from '../../support/engines/valkey.ts'
import { eventually } from '../../support/eventually.ts'

const SHA = createHash('sha256').update(randomBytes(32)).digest('hex')
const tokens = [{ subject: 'alice', sha256: SHA }]
const withCap = (concurrentUploads: number, more: RawMap = {}) =>
  parseConfig({ tiers: { default: { concurrentUploads } }, ...more })

async function twoNodes(files: RawMap = {}) {
  const resources = new AsyncDisposableStack()
  const valkey = resources.use(await startValkey())
  const { nodes } = resources.use(await clusterNodes(2, { url: valkey.facts.url }))
  const told: string[] = []
  const open = async (index: number) => {
    const live = createLiveConfig(withCap(5, files))
    const sessions = resources.use(createSessions(live))
    const node = nodes[index]
    if (!node) throw new Error('there is no such node')
    /** What its file says: read when another node was told something. */
    const file = { config: live.current }
    const events = {
      followed: () => void told.push(`${index} followed`),
      refused: (problems: readonly { key: string }[]) => void told.push(`${index} ${problems[0]?.key}`),
    }
    resources.use(await shareSettings({ node, live, sessions, reread: async () => file.config, events }))
    return { live, sessions, file }
  }
  const [a, b] = [await open(0), await open(1)]
  return { valkey, nodes, a, b, told, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

const capOf = ({ live }: { live: ReturnType<typeof createLiveConfig> }) =>
  live.current.tiers['default']?.concurrentUploads

test('tiers that a reload changes on one node hold on the others, with what their own files say by now', async () => {
  await using world = await twoNodes()
  const { a, b, told } = world
  b.file.config = withCap(5, { log: { level: 'warn' } })
  a.live.apply(withCap(9))
  await eventually('the other follows', () => capOf(b) === 9)
  expect(b.live.current.log.level).toBe('warn')
  expect(a.live.current.log.level).toBe('info')
  // Nobody tells back what it was told.
  b.live.apply(withCap(3))
  await eventually('the first follows', () => capOf(a) === 3)
  expect(told).toEqual(['1 followed', '0 followed'])
})

test('a token that is revoked on one node ends what runs under it on the others', async () => {
  await using world = await twoNodes({ access: { tokens } })
  const { a, b } = world
  const ended: string[] = []
  const credential: Credential = {
    fingerprint: `token ${SHA}`,
    takenBy: b.live.current,
    holdsIn: async () => true,
  }
  b.sessions.watch(credential, ({ code }) => ended.push(code))
  b.sessions.watch({ ...credential, fingerprint: 'token other' }, () => ended.push('other'))
  a.live.apply(withCap(5))
  await eventually('it is ended', () => ended.length > 0)
  expect(ended).toEqual(['unauthorized'])
})

test('what was told while a node could not hear reaches it when it is back; what was told before it began does not', async () => {
  await using world = await twoNodes()
  const { valkey, nodes, a, b } = world
  await valkey.kill()
  await eventually('both know', () => nodes.every(({ link }) => !link.isUp))
  a.live.apply(withCap(7))
  await valkey.restart()
  await eventually('the other follows', () => capOf(b) === 7)
  const live = createLiveConfig(withCap(2))
  const [node] = nodes
  if (!node) throw new Error('there is no node')
  using _ = await shareSettings({ node, live, sessions: { revoke: () => undefined } })
  await node.link.send(['PUBLISH', `${node.link.prefix}settings`, 'somebody'])
  await node.link.send(['PING'])
  expect(capOf({ live })).toBe(2)
})

test('what was told after a node had read its file, and before it could hear, reaches it', async () => {
  await using world = await twoNodes({ access: { tokens } })
  const { nodes, a, b } = world
  const [node] = nodes
  if (!node) throw new Error('there is no node')
  const open = async (readAtMs: number, own: number) => {
    const live = createLiveConfig(withCap(own))
    const revoked: string[] = []
    const sessions = { revoke: (fingerprints: ReadonlySet<string>) => void revoked.push(...fingerprints) }
    using _ = await shareSettings({ node, live, sessions, readAtMs })
    return { cap: capOf({ live }), revoked: revoked.length }
  }
  const early = performance.now()
  await new Promise(resolve => void setTimeout(resolve, 20))
  a.live.apply(withCap(9))
  await eventually('the other follows', () => capOf(b) === 9)
  await new Promise(resolve => void setTimeout(resolve, 20))
  expect(await open(early, 5)).toEqual({ cap: 9, revoked: 1 })
  expect(await open(performance.now(), 5)).toEqual({ cap: 5, revoked: 0 })
})

test('what could not be told is not forgotten when more is to be told meanwhile', async () => {
  const other = createHash('sha256').update(randomBytes(32)).digest('hex')
  const both = [...tokens, { subject: 'bob', sha256: other }]
  await using world = await twoNodes({ access: { tokens: both } })
  const { valkey, nodes, a, b } = world
  const ended: string[] = []
  for (const sha of [SHA, other]) {
    const credential = { fingerprint: `token ${sha}`, takenBy: b.live.current, holdsIn: async () => true }
    b.sessions.watch(credential, () => ended.push(sha))
  }
  valkey.pause()
  a.live.apply(withCap(9, { access: { tokens: both.slice(1) } }))
  // It is on its way, and its answer will never come.
  await new Promise(resolve => void setTimeout(resolve, 50))
  a.live.apply(withCap(9))
  await eventually('it has failed', () => nodes.every(({ link }) => !link.isUp))
  valkey.resume()
  await eventually('both are ended', () => ended.length === 2)
  await eventually('the other follows', () => capOf(b) === 9)
  expect(ended.toSorted()).toEqual([SHA, other].toSorted())
})

test('tiers that do not fit are refused, and nothing changes', async () => {
  await using world = await twoNodes()
  const { nodes, a, b, told } = world
  const prefix = nodes[0]?.link.prefix ?? ''
  const forged = [`${prefix}settings:tiers`, 'at', '9e15', 'tiers', '{"default":{"concurrentUploads":-1}}']
  await nodes[0]?.link.send(['HSET', ...forged])
  await nodes[0]?.link.send(['PUBLISH', `${prefix}settings`, 'somebody'])
  await eventually('both refuse', () => told.length === 2)
  expect(told.toSorted()).toEqual(['0 tiers.default.concurrentUploads', '1 tiers.default.concurrentUploads'])
  expect([capOf(a), capOf(b)]).toEqual([5, 5])
})

test('tiers are the same after they were written and read', () => {
  const config = parseConfig({ tiers: { default: { queueWait: '1500ms' }, gold: { storedBytes: '1TiB' } } })
  expect(readTiers(writeTiers(config))).toEqual(config.tiers)
  expect(() => readTiers('nonsense')).toThrow('not valid')
})
