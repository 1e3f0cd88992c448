/** Runs the upload load generator as a process of its own, on the client's cores. */
import { join } from 'node:path'

import type { BenchContext } from '../context.ts'
import { run } from '../processes.ts'

export interface UploadLoad {
  readonly protocol: 'tus' | 'parts'
  readonly origin: string
  readonly sizeBytes: number
  /** Requests at once; parts only. */
  readonly parallel?: number
  /** Owner secret; parts only. */
  readonly owner?: string
}

export interface UploadDone {
  readonly id: string
  /** From the first request to the last acknowledgement. */
  readonly seconds: number
}

export async function timedUpload(load: UploadLoad, context: BenchContext): Promise<UploadDone> {
  const script = join(import.meta.dirname, `${load.protocol}-client.ts`)
  const args = [script, load.origin, String(load.sizeBytes), String(load.parallel ?? 1), load.owner ?? '']
  const said = await run({ command: process.execPath, args, cores: context.cores.client, signal: context.signal })
  const match = /id=(\S+) seconds=([\d.]+)/.exec(said)
  return { id: match?.[1] ?? '', seconds: Number(match?.[2]) }
}
