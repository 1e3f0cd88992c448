/**
 * Rounds of: send at random, `kill -9` at a random moment, start again, hold the server against what it acknowledged.
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { expect } from 'vitest'

import { localAuth } from './local-token.ts'
import { audit, type UploadHistory } from './crash-history.ts'
import { onCluster } from './cluster-stores.ts'
import { type Creation, type CrashSender, endEverything, keepSending, PART_BYTES } from './crash-sender.ts'
import { seededRandom } from './random.ts'
import { startServerProcess } from './server-process.ts'
import { placesOf, storedMedia } from './stored-bytes.ts'

const OWNER = 'an-owner-secret-of-the-crash-tests'

const CONFIG = {
  transfer: { partBytes: PART_BYTES },
  upkeep: { sweepEvery: '100ms', orphanGrace: '0s', keepEnded: '1h' },
} as const

/** Nodes that were killed may have been sweeping: the others wait for a while before they do. */
const LEFT_BEHIND_MS = onCluster ? 60_000 : 20_000

const PATIENCE_MS = 5000

export interface CrashRounds {
  readonly directory: string
  readonly seed: number
  readonly rounds: number
  readonly senders: number
}

export interface CrashResult {
  readonly media: number
  readonly acknowledgedParts: number
}

export async function runCrashRounds({ directory, seed, rounds, senders }: CrashRounds): Promise<CrashResult> {
  const random = seededRandom(seed)
  const histories = Array.from({ length: senders }, (): UploadHistory[] => [])
  const pending = histories.map((): Creation[] => [])
  const everything = (): UploadHistory[] => histories.flat()
  const sendersAt = (url: string): CrashSender[] =>
    histories.map((history, index) => ({
      url,
      owner: OWNER,
      history,
      pending: pending[index] ?? [],
      random: seededRandom(seed + index + random.int(2 ** 20)),
    }))

  const acknowledged = (): number => everything().reduce((sum, upload) => sum + upload.acknowledgedParts.size, 0)
  for (let round = 0; round < rounds; round += 1) {
    await using server = await startServerProcess({ directory, config: CONFIG })
    await audit(server.url, everything())
    const stop = new AbortController()
    const running = sendersAt(server.url).map(sender => keepSending(sender, stop.signal))
    // Some die young; the others as soon after an acknowledgement as the machine gets to it, however slow it is.
    if (random.chance(0.7)) await moreThan(acknowledged(), acknowledged)
    await Promise.race([pause(20 + random.int(400)), ...running])
    await server.kill()
    stop.abort()
    await Promise.all(running)
  }
  await expectCleanEnd(directory, sendersAt, everything())
  return {
    media: everything().length,
    acknowledgedParts: acknowledged(),
  }
}

/** Waits until `count` is more than it was, but not for ever: a sender may have nothing but whole media to send. */
async function moreThan(before: number, count: () => number): Promise<void> {
  for (const since = performance.now(); count() <= before && performance.now() - since < PATIENCE_MS;) await pause(5)
}

/** Last start: everything acknowledged is there; then all is ended, and neither a byte nor a charge may be left. */
async function expectCleanEnd(
  directory: string,
  sendersAt: (url: string) => CrashSender[],
  history: readonly UploadHistory[],
): Promise<void> {
  await using server = await startServerProcess({ directory, config: CONFIG })
  await audit(server.url, history)
  for (const sender of sendersAt(server.url)) await endEverything(sender)
  const usage = async (): Promise<Record<string, number>> => {
    const response = await fetch(`${server.url}/v1/limits`, { headers: localAuth(server.url) })
    return ((await response.json()) as { usage: Record<string, number> }).usage
  }
  const places = await placesOf(join(directory, 'data'))
  await expect
    .poll(async () => (await storedMedia(places)).map(({ name }) => name), {
      timeout: LEFT_BEHIND_MS,
      message: 'left behind',
    })
    .toEqual([])
  expect(await usage()).toMatchObject({ storedBytes: 0, reservedBytes: 0, pendingUploads: 0, uploads: 0, downloads: 0 })
  expect(await server.stop()).toBe(0)
}
