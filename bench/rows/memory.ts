/** What the server keeps in memory while a thousand transfers are in flight, and whether it stays there. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { BenchContext, Row, Sample, Serving } from '../context.ts'
import { sealift } from '../peers/sealift.ts'
import { openFiles, residentBytes } from '../proc.ts'
import { startService } from '../processes.ts'
import { writeRandomFile } from '../workspace.ts'
import { growth, SAMPLE_EVERY_MS, sampleResident } from './resident.ts'

const MEDIA_BYTES = 16 * 1024 * 1024
const SETTLE_MS = 3000
const AIM_MB = 300

export const memory: Row = {
  name: 'memory',
  title: 'Resident memory of the server with 500 uploads and 500 downloads in flight',
  async run(context) {
    const names = Array.from({ length: context.quick ? 2 : 20 }, (_, index) => `${index}.bin`)
    const content = { folder: await context.workspace.folder('held'), names }
    for (const [index, name] of names.entries()) await writeRandomFile(join(content.folder, name), MEDIA_BYTES, index)
    await using serving = await sealift.serve(content, context)
    await sleep(SETTLE_MS)
    const before = { memory: await residentBytes(serving.pid), files: await openFiles(serving.pid) }
    const slow = await hold('slow', serving, context)
    const fast = await hold('fast', serving, context)
    await sleep(SETTLE_MS)
    const after = { memory: await residentBytes(serving.pid), files: await openFiles(serving.pid) }
    return {
      row: 'memory',
      title: memory.title,
      unit: 'MB',
      subjects: [
        { name: 'idle before', samples: [megabytes(before.memory.now)] },
        { name: 'every transfer trickles', samples: slow.map(megabytes) },
        { name: 'every transfer at full speed', samples: fast.map(megabytes) },
        { name: 'idle after', samples: [megabytes(after.memory.now)] },
      ],
      aims: [
        { label: 'highest ever', ratios: [after.memory.peak / 1e6], atMost: AIM_MB, unit: 'MB' },
        { label: 'last third ÷ first third, trickling', ratios: [growth(slow)], atMost: 1.1 },
        { label: 'last third ÷ first third, full speed', ratios: [growth(fast)], atMost: 1.1 },
      ],
      notes: [
        `Sampled every ${SAMPLE_EVERY_MS} ms; each transfer on a connection of its own.`,
        `Open files of the server: ${before.files} before, ${after.files} after.`,
      ],
    }
  },
}

/** Resident bytes, sampled from when all transfers are in flight. */
async function hold(mode: 'slow' | 'fast', serving: Serving, context: BenchContext): Promise<number[]> {
  const [uploads, downloads, seconds] = context.quick ? [50, 50, 4] : [500, 500, mode === 'slow' ? 45 : 20]
  context.progress(`${mode}: ${uploads} uploads and ${downloads} downloads for ${seconds} s`)
  const plan = JSON.stringify({ origin: serving.origin, mode, uploads, downloads, paths: serving.paths })
  await using load = await startService(
    {
      command: process.execPath,
      args: [join(import.meta.dirname, '../load/hold-client.ts'), plan],
      cores: context.cores.client,
    },
    started => started.line(/in flight/),
  )
  const samples = await sampleResident(serving.pid, seconds, context)
  load.assertRunning()
  return samples
}

function megabytes(bytes: number): Sample {
  return { value: bytes / 1e6 }
}
