import { createHash, randomBytes } from 'node:crypto'

import { expect, test } from 'vitest'

import type { ClientCredential } from '../../../src/server/access/caller.ts'
import { createSessions } from '../../../src/server/access/sessions.ts'
import { readTiers, writeTiers } from '../../../src/server/cluster/settings/settings-store.ts'
import { syncSettings } from '../../../src/server/cluster/settings/settings-sync.ts'
import { createLiveConfig } from '../../../src/server/config/live-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'
import type { RawMap } from '../../../src/server/config/raw.ts'
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
  const log: string[] = []
  const open = async (index: number) => {
    const live = createLiveConfig(withCap(5, files))
    const sessions = resources.use(createSessions(live))
    const node = nodes[index]
    if (!node) throw new Error('there is no such node')
    /** Its configuration file: read when another node has reloaded. */
    const file = { config: live.current }
    const events = {
      configReloaded: () => void log.push(`${index} followed`),
      configRefused: (problems: readonly { key: string }[]) => void log.push(`${index} ${problems[0]?.key}`),
    }
    resources.use(await syncSettings({ node, live, sessions, reread: async () => file.config, events }))
    return { live, sessions, file }
  }
  const [a, b] = [await open(0), await open(1)]
  return { valkey, nodes, a, b, log, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

const capOf = ({ live }: { live: ReturnType<typeof createLiveConfig> }) =>
  live.current.tiers['default']?.concurrentUploads

test('tiers that a reload changes on one node apply on the others, with the current content of their own files', async () => {
  await using world = await twoNodes()
  const { a, b, log } = world
  b.file.config = withCap(5, { log: { level: 'warn' } })
  a.live.apply(withCap(9))
  await eventually('the other follows', () => capOf(b) === 9)
  expect(b.live.current.log.level).toBe('warn')
  expect(a.live.current.log.level).toBe('info')
  // The settings are not sent back.
  b.live.apply(withCap(3))
  await eventually('the first follows', () => capOf(a) === 3)
  expect(log).toEqual(['1 followed', '0 followed'])
})

test('a token that is revoked on one node ends work under it on the others', async () => {
  await using world = await twoNodes({ access: { tokens } })
  const { a, b } = world
  const ended: string[] = []
  const credential: ClientCredential = {
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

test('a change made while a node was disconnected reaches it when it rejoins; one made before it started does not', async () => {
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
  using _ = await syncSettings({ node, live, sessions: { revoke: () => undefined } })
  await node.link.send(['PUBLISH', `${node.link.prefix}settings`, 'another node'])
  await node.link.send(['PING'])
  expect(capOf({ live })).toBe(2)
})

test('a change made after a node read its file, and before it subscribed, reaches it', async () => {
  await using world = await twoNodes({ access: { tokens } })
  const { nodes, a, b } = world
  const [node] = nodes
  if (!node) throw new Error('there is no node')
  const open = async (readAtMs: number, own: number) => {
    const live = createLiveConfig(withCap(own))
    const revoked: string[] = []
    const sessions = { revoke: (fingerprints: ReadonlySet<string>) => void revoked.push(...fingerprints) }
    using _ = await syncSettings({ node, live, sessions, readAtMs })
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

test('a change that could not be published is retained when another change follows', async () => {
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
  // The call is in flight, and its response never comes.
  await new Promise(resolve => void setTimeout(resolve, 50))
  a.live.apply(withCap(9))
  await eventually('it has failed', () => nodes.every(({ link }) => !link.isUp))
  valkey.resume()
  await eventually('both are ended', () => ended.length === 2)
  await eventually('the other follows', () => capOf(b) === 9)
  expect(ended.toSorted()).toEqual([SHA, other].toSorted())
})

test('invalid tiers are refused, and nothing changes', async () => {
  await using world = await twoNodes()
  const { nodes, a, b, log } = world
  const prefix = nodes[0]?.link.prefix ?? ''
  const forged = [`${prefix}settings:tiers`, 'at', '9e15', 'tiers', '{"default":{"concurrentUploads":-1}}']
  await nodes[0]?.link.send(['HSET', ...forged])
  await nodes[0]?.link.send(['PUBLISH', `${prefix}settings`, 'another node'])
  await eventually('both refuse', () => log.length === 2)
  expect(log.toSorted()).toEqual(['0 tiers.default.concurrentUploads', '1 tiers.default.concurrentUploads'])
  expect([capOf(a), capOf(b)]).toEqual([5, 5])
})

test('tiers are the same after they are written and read', () => {
  const config = parseConfig({ tiers: { default: { queueWait: '1500ms' }, gold: { storedBytes: '1TiB' } } })
  expect(readTiers(writeTiers(config))).toEqual(config.tiers)
  expect(() => readTiers('nonsense')).toThrow('not valid')
})
