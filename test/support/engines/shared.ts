import { inject } from 'vitest'

import type { Engine } from './engine.ts'

/**
 * The facts of an engine that all test files of this run share; the first call starts it, which may take 20 s. A suite
 * keeps to a bucket, database or key prefix of its own. One that pauses or kills an engine starts its own instead.
 */
export async function sharedEngine<Facts>(engine: Engine<Facts>): Promise<Facts> {
  const response = await fetch(`${inject('enginesUrl')}/${engine.name}`)
  if (!response.ok) throw new Error(`${engine.name} did not start: ${await response.text()}`)
  return (await response.json()) as Facts
}
