import { setTimeout as sleep } from 'node:timers/promises'

import type { BenchContext } from '../context.ts'
import { residentBytes } from '../proc.ts'

export const SAMPLE_EVERY_MS = 250

/** Resident bytes of a process, looked at every 250 ms. */
export async function sampleResident(pid: number, seconds: number, { signal }: BenchContext): Promise<number[]> {
  const samples: number[] = []
  for (let elapsedMs = 0; elapsedMs < seconds * 1000; elapsedMs += SAMPLE_EVERY_MS) {
    signal.throwIfAborted()
    samples.push((await residentBytes(pid)).now)
    await sleep(SAMPLE_EVERY_MS)
  }
  return samples
}

/** How much more the last third of the samples holds than the first. */
export function growth(samples: readonly number[]): number {
  const third = Math.ceil(samples.length / 3)
  const mean = (part: readonly number[]): number => part.reduce((sum, each) => sum + each, 0) / part.length
  return mean(samples.slice(-third)) / mean(samples.slice(0, third))
}
