import { createServer } from 'node:net'
import { once } from 'node:events'

import { describe, expect, test } from 'vitest'

import { joinCluster } from '../../../src/server/cluster/cluster-node.ts'
import { defineScript, openValkeyLink } from '../../../src/server/cluster/valkey-link.ts'
import { openValkeySlotLimiter } from '../../../src/server/limits/valkey/slot-limiter.ts'
import { clusterNodes } from '../../support/cluster-nodes.ts'
import { startValkey } from '../../support/engines/valkey.ts'
import { startFlakyProxy } from '../../support/flaky-proxy.ts'
import { eventually } from '../../support/eventually.ts'

const PASSWORD = 'päss/word-canary'

/** All that an error says, causes and all. */
function everythingIn(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { message, stack = '', cause } = error
  return [message, stack, JSON.stringify(error), cause === undefined ? '' : everythingIn(cause)].join('\n')
}

describe('opening', () => {
  test('works with a password, and a wrong one is one plain message that names the setting', async () => {
    await using valkey = await startValkey({ password: PASSWORD })
    const { url } = valkey.facts
    await using link = await openValkeyLink({ url: url.replace('redis:', 'valkey:'), prefix: 'p:' })
    expect(await link.send(['PING'])).toBe('PONG')
    const wrong = url.replace('%2Fword', '%2Fwrong')
    const error: unknown = await openValkeyLink({ url: wrong, prefix: 'p:' }).catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('limits.valkey.url') })
    expect(everythingIn(error)).not.toMatch(/wrong|canary/)
    const { host } = new URL(url)
    await expect(openValkeyLink({ url: `redis://${host}`, prefix: 'p:' })).rejects.toThrow('needs a password')
  })

  test('fails on a closed port, and without a response', async () => {
    const silent = createServer(socket => socket.resume()).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    const address = silent.address()
    if (address === null || typeof address === 'string') throw new Error('no port')
    const url = `redis://:${encodeURIComponent(PASSWORD)}@127.0.0.1:${address.port}/2`
    const late = await openValkeyLink({ url, prefix: 'p:', connectTimeoutMs: 100 }).catch((reason: unknown) => reason)
    expect(late).toMatchObject({ code: 'unavailable', message: expect.stringContaining(`127.0.0.1:${address.port}/2`) })
    silent.close()
    await once(silent, 'close')
    const refused = await openValkeyLink({ url, prefix: 'p:' }).catch((reason: unknown) => reason)
    expect(refused).toMatchObject({ message: expect.stringContaining('refuses connections') })
    for (const error of [late, refused]) expect(everythingIn(error)).not.toContain('canary')
  })

  test('fails where the user may not write', async () => {
    await using valkey = await startValkey()
    await valkey.command('ACL', 'SETUSER', 'reader', 'on', '>secret', '~*', '&*', '+@read', '+@connection', '+@pubsub')
    const url = valkey.facts.url.replace('redis://', 'redis://reader:secret@')
    await expect(openValkeyLink({ url, prefix: 'p:' })).rejects.toThrow('does not allow')
  })
})

describe('a link', () => {
  test('that gets no response in time fails the call, reports it once, and reconnects by itself', async () => {
    await using valkey = await startValkey({ password: PASSWORD })
    const told: string[] = []
    const { url } = valkey.facts
    await using link = await openValkeyLink({ url, prefix: 'p:', commandTimeoutMs: 1000 })
    link.watch({ up: () => told.push('up'), down: ({ message }) => told.push(message) })
    valkey.pause()
    const calls = await Promise.allSettled([link.send(['PING']), link.send(['PING'])])
    expect(calls.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    await expect(link.send(['PING'])).rejects.toThrow('no connection')
    valkey.resume()
    await eventually('it is back', () => link.isUp)
    expect(told).toEqual([expect.stringContaining('no response in time'), 'up'])
    expect(await link.send(['PING'])).toBe('PONG')
    expect(told.join(' ')).not.toContain('canary')
  })

  test('hears what is published, also after a restart, and runs scripts that the server has forgotten', async () => {
    await using valkey = await startValkey()
    await using link = await openValkeyLink({ url: valkey.facts.url, prefix: 'p:' })
    const heard: string[] = []
    await link.subscribe('channel', message => heard.push(message))
    const script = defineScript("redis.call('PUBLISH', KEYS[1], ARGV[1]) return 'done'")
    expect(await link.run(script, ['p:channel'], ['one'])).toBe('done')
    await eventually('it is heard', () => heard.length === 1)
    await valkey.restart()
    await eventually('it is back', () => link.isUp)
    expect(await link.run(script, ['p:channel'], ['two'])).toBe('done')
    await eventually('it is heard again', () => heard.length === 2)
    expect(heard).toEqual(['one', 'two'])
  })

  test('hears on a connection that was being made when it began to listen', async () => {
    await using valkey = await startValkey()
    await using proxy = await startFlakyProxy(valkey.facts.url)
    await using link = await openValkeyLink({ url: proxy.url.replace('http:', 'redis:'), prefix: 'p:' })
    proxy.delayMs = 60
    proxy.cutAll()
    await eventually('it is down', () => !link.isUp)
    const heard = new Map<string, number>()
    // One after the other, while it connects.
    for (let at = 0; !link.isUp; at += 1) {
      const channel = `channel${at}`
      heard.set(channel, 0)
      await link.subscribe(channel, () => heard.set(channel, 1))
      await new Promise(resolve => void setTimeout(resolve, 20))
    }
    await link.send(['PING'])
    for (const channel of heard.keys()) await valkey.command('PUBLISH', `p:${channel}`, 'news')
    await link.send(['PING'])
    expect([...heard].filter(([, count]) => count === 0)).toEqual([])
  })

  test('that breaks at once each time it is up is not made again without a pause', async () => {
    await using valkey = await startValkey()
    await using link = await openValkeyLink({ url: valkey.facts.url, prefix: 'p:' })
    let ups = 0
    link.watch({
      up() {
        ups += 1
        void link.run(defineScript("return redis.call('LPUSH', KEYS[1], '1')"), ['p:probe'], []).catch(() => undefined)
      },
    })
    await link.send(['LPUSH', 'p:probe', '1']).catch(() => undefined)
    await new Promise(resolve => void setTimeout(resolve, 2000))
    expect(ups).toBeGreaterThan(2)
    expect(ups).toBeLessThan(10)
  })

  test('to a server that takes no writes any more is no link', async () => {
    await using valkey = await startValkey()
    await using link = await openValkeyLink({ url: valkey.facts.url, prefix: 'p:' })
    await valkey.command('REPLICAOF', '127.0.0.1', '1')
    await expect(link.send(['SET', 'p:key', '1'])).rejects.toThrow('replica')
    expect(link.isUp).toBe(false)
    await valkey.command('REPLICAOF', 'NO', 'ONE')
    await eventually('it is back', () => link.isUp)
  })
})

describe('nodes', () => {
  test('know how many they are, also after one has left', async () => {
    await using valkey = await startValkey()
    const { url } = valkey.facts
    await using cluster = await clusterNodes(2, { url })
    const third = await joinCluster({ url, prefix: cluster.prefix, leaseTtlMs: 1000 })
    await eventually('all know', () => [...cluster.nodes, third].every(({ nodes }) => nodes === 3))
    await third[Symbol.asyncDispose]()
    await eventually('it is forgotten', () => cluster.nodes.every(({ nodes }) => nodes === 2))
    expect(cluster.nodes.map(({ phase }) => phase)).toEqual(['joined', 'joined'])
  })

  test('tell once that the link is lost, and once that it is back', async () => {
    await using valkey = await startValkey()
    const told: string[] = []
    const events = { lost: () => told.push('lost'), back: () => told.push('back') }
    await using node = await joinCluster({ url: valkey.facts.url, prefix: 'p:', commandTimeoutMs: 1000, events })
    expect(node.phase).toBe('joined')
    await valkey.kill()
    await eventually('it is partitioned', () => node.phase === 'partitioned')
    await valkey.restart()
    await eventually('it is back', () => node.phase === 'joined')
    expect(told).toEqual(['lost', 'back'])
    expect(node.nodes).toBe(1)
  })

  test('are partitioned when the link reconnects again and again but never works', async () => {
    await using valkey = await startValkey()
    const told: string[] = []
    const events = { lost: () => told.push('lost'), back: () => told.push('back') }
    await using node = await joinCluster({ url: valkey.facts.url, prefix: 'p:', commandTimeoutMs: 500, events })
    await using limiter = await openValkeySlotLimiter({ node, name: 'slots' })
    const request = { clientId: 'alice', direction: 'upload', cap: 2, queue: 2, queueWaitMs: 20_000 } as const
    let ups = 0
    const downs: string[] = []
    node.link.watch({ up: () => (ups += 1), down: ({ message }) => downs.push(message) })
    await valkey.command('ACL', 'SETUSER', 'default', '-eval', '-evalsha')
    await eventually('the refusal is reported', () => downs.some(reason => reason.includes('does not allow')))
    await eventually('it is partitioned', () => node.phase === 'partitioned')
    const before = ups
    await eventually('the link has come up and broken again', () => ups > before + 1 && !node.link.isUp)
    expect(node.phase).toBe('partitioned')
    const slot = await limiter.acquire(request, AbortSignal.timeout(20_000))
    slot[Symbol.dispose]()
    expect(told).toEqual(['lost'])
    await valkey.command('ACL', 'SETUSER', 'default', '+@all')
    await eventually('it is back', () => node.phase === 'joined')
    expect(told).toEqual(['lost', 'back'])
  })
})
