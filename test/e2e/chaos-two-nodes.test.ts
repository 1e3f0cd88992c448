/**
 * What one node tells another: new parts of an upload that is followed there, with Valkey well and without it, and
 * new limits.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { afterAll, beforeAll, expect, it } from 'vitest'
import { parse, stringify } from 'yaml'

import * as schemas from '../../src/protocol/schemas.ts'
import { mergeRaw, type RawMap } from '../../src/server/index.ts'
import { createApi } from '../support/api.ts'
import { type FollowingPair, startFollowingPair } from '../support/following-pair.ts'
import type { ServerProcess } from '../support/server-process.ts'

/** Long before a follower that was told nothing looks by itself, every 15 s. `npm run test:long` holds to 250 ms. */
const TOLD_MS = 5000

let pair: FollowingPair

beforeAll(async () => {
  pair = await startFollowingPair()
}, 120_000)

afterAll(() => pair[Symbol.asyncDispose]())

it('a follower on another node is notified of each part', async () => {
  expect(await pair.longestLag()).toBeLessThan(TOLD_MS)
})

it('limits that one node has read again hold on the other, whose file is as it was', async () => {
  const [first, second] = pair.nodes
  const capAt = async ({ url }: ServerProcess): Promise<number | undefined> => {
    const { json } = await createApi(url).call('limits', {})
    return schemas.limits.parse(json).limits.concurrentDownloads
  }
  const before = await capAt(second)
  const file = join(pair.home, 'a', 'config.yaml')
  const written = parse(await readFile(file, 'utf8')) as RawMap
  await writeFile(file, stringify(mergeRaw(written, { tiers: { default: { concurrentDownloads: 5 } } })))
  expect(await capAt(second)).toBe(before)
  process.kill(first.pid, 'SIGHUP')
  await expect.poll(() => capAt(first), { timeout: 10_000 }).toBe(5)
  await expect.poll(() => capAt(second), { timeout: 10_000 }).toBe(5)
})

it('a follower hears of each part while Valkey is gone: nodes that hear nothing look for themselves, often', async () => {
  await pair.valkey.kill()
  // For as long as one command may take, who asks for a slot waits.
  await pause(1000)
  expect(await pair.longestLag()).toBeLessThan(TOLD_MS)
})
