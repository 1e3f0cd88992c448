/** One large media to and from an S3 service: the SDK alone, through Sealift, and past it. */
import { join } from 'node:path'

import type { BenchContext, Row, Sample } from '../context.ts'
import type { Plan } from '../load/s3/client.ts'
import type { WayOptions } from '../load/s3/way.ts'
import { WAYS } from '../load/s3/ways.ts'
import { missingS3, type S3Service, startS3 } from '../peers/engines.ts'
import { type SealiftServer, startSealift } from '../peers/sealift.ts'
import { cpuSeconds } from '../proc.ts'
import { run } from '../processes.ts'
import { type Contender, takeTurns } from '../rounds.ts'
import { aimsAgainst } from './against.ts'
import { leftOut } from './left-out.ts'

const MIB = 1024 ** 2
const PART_BYTES = 8 * MIB
const PARALLEL = 4
const OWNER = 'bench-owner-secret-0123456789'

export const s3: Row = {
  name: 's3',
  title: '1 GiB to and from an S3 service, 4 parts of 8 MiB at once',
  async run(context) {
    const missing = await missingS3()
    if (missing !== null) return leftOut(s3, missing)
    await using stage = await open(context)
    const up = await takeTurns(contendersUp(stage), context)
    const down = await takeTurns(await contendersDown(stage), context)
    const subjects = [...up, ...down]
    return {
      row: 's3',
      title: s3.title,
      unit: 'MB/s',
      subjects,
      aims: ['up', 'down'].flatMap(direction =>
        aimsAgainst(subjects, [
          { subject: `Sealift, proxied, ${direction}`, peer: `bare SDK, ${direction}`, atLeast: 0.9 },
          { subject: `Sealift, direct, ${direction}`, peer: `bare SDK, ${direction}`, atLeast: 0.95 },
        ]),
      ),
      notes: [
        "The service is Ceph's S3 gateway over a store in memory. Service, clients and Sealift share all cores;",
        "the processor time is Sealift's. Sealift's bytes are moved by its SDK's transport, the bare SDK's by its default.",
        'Direct parts are hashed (MD5) by their sender, as the signature demands.',
      ],
    }
  },
}

interface Stage extends AsyncDisposable {
  readonly context: BenchContext
  readonly service: S3Service
  readonly server: SealiftServer
  readonly options: WayOptions
  readonly parts: number
}

async function open(context: BenchContext): Promise<Stage> {
  await using stack = new AsyncDisposableStack()
  context.progress('starting the S3 service')
  const service = stack.use(await startS3(context))
  const server = stack.use(
    await startSealift(context, {
      pinned: false,
      settings: { storage: s3Settings(service, 'direct') },
    }),
  )
  const owned = stack.move()
  return {
    context,
    service,
    server,
    options: { place: service.place, origin: server.origin, partBytes: PART_BYTES, parallel: PARALLEL, owner: OWNER },
    parts: context.quick ? 16 : 128,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Sealift's storage section for a service. */
export function s3Settings({ place }: S3Service, transfer: 'proxy' | 'direct'): object {
  return { kind: 's3', transfer, s3: place }
}

const NAMES: readonly (readonly [Plan['way'], string])[] = [
  ['bare', 'bare SDK'],
  ['proxied', 'Sealift, proxied'],
  ['direct', 'Sealift, direct'],
]

function contendersUp(stage: Stage): Contender[] {
  return NAMES.map(([way, name]) => ({
    name: `${name}, up`,
    async measure() {
      const { id, sample } = await move(stage, way, null)
      await clear(stage, way, id)
      return sample
    },
  }))
}

/** Each fetches what it has stored itself. */
async function contendersDown(stage: Stage): Promise<Contender[]> {
  const contenders: Contender[] = []
  for (const [way, name] of NAMES) {
    const stored = await WAYS[way](stage.options).upload(stage.parts)
    contenders.push({ name: `${name}, down`, measure: async () => (await move(stage, way, stored)).sample })
  }
  return contenders
}

async function move(stage: Stage, way: Plan['way'], fetch: string | null): Promise<{ id: string; sample: Sample }> {
  const { context, options, parts, server } = stage
  const plan: Plan = { ...options, way, fetch, parts }
  const cpuBefore = await cpuSeconds(server.pid)
  const said = await run({
    command: process.execPath,
    args: [join(import.meta.dirname, '../load/s3/client.ts'), JSON.stringify(plan)],
    signal: context.signal,
  })
  const serverCpuSeconds = (await cpuSeconds(server.pid)) - cpuBefore
  const match = /id=(\S+) seconds=([\d.]+)/.exec(said)
  const value = (parts * options.partBytes) / 1e6 / Number(match?.[2])
  return { id: match?.[1] ?? '', sample: way === 'bare' ? { value } : { value, serverCpuSeconds } }
}

/** Waits until the service has deleted the objects of the peer before, so that deletions disturb no measurement. */
async function clear({ service, options, parts }: Stage, way: Plan['way'], id: string): Promise<void> {
  await WAYS[way](options).remove(id, parts)
  await service.emptied(way === 'bare' ? 'bare/' : 'sealift/')
}
