import { join } from 'node:path'

import type { BenchContext, Sample, Serving } from '../context.ts'
import { cpuSeconds } from '../proc.ts'
import { run } from '../processes.ts'

/**
 * Downloads `sizeBytes` from a server's first path in one stream; the sample's value is in MB (10^6 bytes) per second.
 */
export async function drain(serving: Serving, sizeBytes: number, context: BenchContext): Promise<Sample> {
  const url = `${serving.origin}${serving.paths[0] ?? '/'}`
  const cpuBefore = await cpuSeconds(serving.pid)
  const said = await run({
    command: process.execPath,
    args: [join(import.meta.dirname, 'drain-client.ts'), url, String(sizeBytes)],
    cores: context.cores.client,
    signal: context.signal,
  })
  const seconds = Number(/seconds=([\d.]+)/.exec(said)?.[1])
  return { value: sizeBytes / 1e6 / seconds, serverCpuSeconds: (await cpuSeconds(serving.pid)) - cpuBefore }
}
