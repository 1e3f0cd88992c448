/** How soon a follower at one node has what another node received: a time limit, for an otherwise idle machine. */
import { setTimeout as pause } from 'node:timers/promises'

import { expect, it } from 'vitest'

import { startFollowingPair } from '../support/following-pair.ts'

const WITHIN_MS = 250
const ROUNDS = 5

it(`a follower on another node has each part within ${WITHIN_MS} ms, also while Valkey is gone`, async () => {
  await using pair = await startFollowingPair()
  const lags = async (): Promise<readonly number[]> => {
    const seen: number[] = []
    for (let round = 0; round < ROUNDS; round += 1) seen.push(await pair.longestLag())
    return seen
  }
  const well = await lags()
  await pair.valkey.kill()
  // For as long as one command may take, who asks for a slot waits.
  await pause(1000)
  const without = await lags()
  const listed = (seen: readonly number[]): string => seen.map(ms => ms.toFixed(0)).join(', ')
  console.log(`Longest of 20 parts, ms: ${listed(well)}; while Valkey is gone: ${listed(without)}`)
  expect(Math.max(...well, ...without)).toBeLessThan(WITHIN_MS)
})
