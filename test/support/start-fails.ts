/** `sealift serve` with settings that are wrong: it must say which in one line, soon, and without a secret. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { mergeRaw, type RawMap } from '../../src/server/index.ts'
import { startCli } from './running-cli.ts'

export interface FailedStart {
  readonly code: number | null
  /** All that it said, on either stream. */
  readonly said: string
  readonly elapsedMs: number
}

const TOO_LONG_MS = 40_000
let count = 0

/** Two layers of configuration, the second over the first; what is left out is on free ports below `directory`. */
export async function startWrongly(directory: string, right: RawMap, wrong: RawMap): Promise<FailedStart> {
  count += 1
  const file = join(directory, `wrong-${count}.yaml`)
  const base = { listen: { port: 0 }, admin: { enabled: false }, dataDirectory: join(directory, `data-${count}`) }
  writeFileSync(file, JSON.stringify(mergeRaw(mergeRaw(base, right), wrong)))
  const startedAtMs = performance.now()
  await using running = startCli(['serve', '--config', file])
  // A server that starts after all would go on for ever.
  const late = setTimeout(() => running.child.kill('SIGKILL'), TOO_LONG_MS)
  const { code, stdout, stderr } = await running.result
  clearTimeout(late)
  return { code, said: stdout.toString() + stderr, elapsedMs: performance.now() - startedAtMs }
}
