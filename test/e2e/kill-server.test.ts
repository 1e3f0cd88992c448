import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, it } from 'vitest'

import { runCrashRounds } from '../support/crash-rounds.ts'
import { runSeed } from '../support/random.ts'

it('keeps every acknowledged byte through kill -9 at random moments, and leaves nothing behind', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sealift-kill-'))
  const seed = runSeed()
  console.log(`SEALIFT_SEED=${seed}`)
  try {
    const { acknowledgedParts } = await runCrashRounds({ directory, seed, rounds: 6, senders: 4 })
    expect(acknowledgedParts).toBeGreaterThan(0)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}, 180_000)
