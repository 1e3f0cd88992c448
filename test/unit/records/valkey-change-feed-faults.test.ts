/** A feed that may have lost messages wakes all listeners. */
import { expect, test } from 'vitest'

import { openValkeyChangeFeed } from '../../../src/server/change-feed/valkey.ts'
import { steady } from '../../support/blob-bytes.ts'
import { clusterNodes } from '../../support/cluster-nodes.ts'
import { startValkey } from '../../support/engines/valkey.ts'
import { eventually } from '../../support/eventually.ts'

const LONG_MS = 60_000

async function twoFeeds() {
  const resources = new AsyncDisposableStack()
  const valkey = resources.use(await startValkey())
  const { nodes } = resources.use(await clusterNodes(2, { url: valkey.facts.url }))
  const [a, b] = await Promise.all(nodes.map(node => openValkeyChangeFeed({ node })))
  if (!a || !b) throw new Error('there are not two')
  for (const feed of [a, b]) resources.use(feed)
  return { valkey, nodes, a, b, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

test.each(['kill', 'pause'] as const)('who listens while Valkey is away (%s) looks again and again', async fault => {
  await using world = await twoFeeds()
  const { valkey, nodes, a, b } = world
  using listener = b.listen('topic')
  await valkey[fault]()
  a.announce('topic')
  for (let round = 0; round < 5; round += 1) expect(await listener.next(LONG_MS, steady())).toBe(true)
  if (fault === 'kill') await valkey.restart()
  else valkey.resume()
  await eventually('both are back', () => nodes.every(({ phase }) => phase === 'joined'))
  await eventually('it is quiet again', async () => !(await listener.next(300, steady())))
  a.announce('topic')
  expect(await listener.next(LONG_MS, steady())).toBe(true)
})

test('topics announced while the link was down are published when it is back', async () => {
  await using world = await twoFeeds()
  const { valkey, nodes, a, b } = world
  await valkey.kill()
  await eventually('both know', () => nodes.every(({ link }) => !link.isUp))
  a.announce('topic')
  using listener = b.listen('topic')
  await valkey.restart()
  expect(await listener.next(LONG_MS, steady())).toBe(true)
})

test('a message reveals no id', async () => {
  await using world = await twoFeeds()
  const { nodes, a } = world
  const messages: string[] = []
  await nodes[1]?.link.subscribe('changes', message => messages.push(message))
  a.announce('parcel/aaaaaaaaaaaaaaaaaaaaaaaaaa')
  await eventually('it is published', () => messages.length > 0)
  expect(messages.join(' ')).not.toContain('aaaaaa')
})
