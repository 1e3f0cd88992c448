/** What the server keeps in memory while a hundred large transfers pass through it to and from an S3 service. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

import type { BenchContext, Row } from '../context.ts'
import type { HoldPlan } from '../load/s3/hold-client.ts'
import { proxiedWay } from '../load/s3/proxied.ts'
import { missingS3, startS3 } from '../peers/engines.ts'
import { type SealiftServer, startSealift } from '../peers/sealift.ts'
import { residentBytes } from '../proc.ts'
import { startService } from '../processes.ts'
import { leftOut } from './left-out.ts'
import { growth, SAMPLE_EVERY_MS, sampleResident } from './resident.ts'
import { s3Settings } from './s3.ts'

const PART_BYTES = 8 * 1024 ** 2
const EACH_WAY = 50
/** Parts of an upload that are stored before it is given up: all of them are at most 1.6 GiB in the service. */
const PARTS_EACH = 4
const OWNER = 'bench-owner-secret-0123456789'
const AIM_MB = 400
const SETTLE_MS = 3000

export const s3Memory: Row = {
  name: 's3-memory',
  title: 'Resident memory with 50 uploads and 50 downloads of 1 GiB through the proxy to an S3 service',
  async run(context) {
    const missing = await missingS3()
    if (missing !== null) return leftOut(s3Memory, missing)
    await using service = await startS3(context)
    const settings = { storage: s3Settings(service, 'proxy') }
    await using server = await startSealift(context, { pinned: false, settings })
    const parts = context.quick ? 16 : 128
    const options = { place: service.place, origin: server.origin, partBytes: PART_BYTES, parallel: 4, owner: OWNER }
    context.progress('storing what is downloaded')
    const mediaId = await proxiedWay(options).upload(parts)
    await sleep(SETTLE_MS)
    const before = await residentBytes(server.pid)
    const held = await hold(server, { parts, mediaId }, context)
    await sleep(SETTLE_MS)
    const after = await residentBytes(server.pid)
    return {
      row: 's3-memory',
      title: s3Memory.title,
      unit: 'MB',
      subjects: [
        { name: 'idle before', samples: [{ value: before.now / 1e6 }] },
        { name: 'every transfer at full speed', samples: held.samples.map(bytes => ({ value: bytes / 1e6 })) },
        { name: 'idle after', samples: [{ value: after.now / 1e6 }] },
      ],
      aims: [
        { label: 'highest ever', ratios: [after.peak / 1e6], atMost: AIM_MB, unit: 'MB' },
        { label: 'last third ÷ first third', ratios: [growth(held.samples)], atMost: 1.1 },
      ],
      notes: [
        `Sampled every ${SAMPLE_EVERY_MS} ms for ${held.seconds} s; ${held.moved}. All downloads read the same media;`,
        `an upload is given up after ${PARTS_EACH} of its parts and another begun, so that the service has room.`,
      ],
    }
  },
}

interface Held {
  readonly samples: number[]
  readonly seconds: number
  /** In words, for the notes. */
  readonly moved: string
}

async function hold(
  { pid, origin }: SealiftServer,
  { parts, mediaId }: { readonly parts: number; readonly mediaId: string },
  context: BenchContext,
): Promise<Held> {
  const seconds = context.quick ? 6 : 60
  const plan: HoldPlan = {
    origin,
    uploads: EACH_WAY,
    downloads: EACH_WAY,
    sizeBytes: parts * PART_BYTES,
    mediaId,
    partBytes: PART_BYTES,
    partsEach: PARTS_EACH,
  }
  await using load = await startService(
    {
      command: process.execPath,
      args: [join(import.meta.dirname, '../load/s3/hold-client.ts'), JSON.stringify(plan)],
    },
    started => started.line(/in flight/),
  )
  context.progress(`all in flight; ${seconds} s`)
  const samples = await sampleResident(pid, seconds, context)
  load.assertRunning()
  const told = load.line(/^moved up=(\d+) down=(\d+)/)
  await load[Symbol.asyncDispose]()
  const [, up, down] = await told
  const rate = (bytes = '0'): string => (Number(bytes) / 1e6 / seconds).toFixed(0)
  return { samples, seconds, moved: `${rate(up)} MB/s went up and ${rate(down)} MB/s down` }
}
