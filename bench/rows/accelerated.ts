/** nginx that asks Sealift where the bytes are, beside plain nginx. */
import { join } from 'node:path'

import { drain } from '../load/drain.ts'
import { storm } from '../load/storm.ts'
import type { BenchContext, Content, Row, RowResult, Subject } from '../context.ts'
import { accelerated as behindNginx } from '../peers/accelerated.ts'
import { nginx } from '../peers/nginx.ts'
import { takeTurns } from '../rounds.ts'
import { writeRandomFile } from '../workspace.ts'
import { aimsAgainst } from './against.ts'
import { leftOut } from './left-out.ts'
import { serveAll } from './serve-all.ts'

const GIB = 1024 ** 3
const SMALL_BYTES = 64 * 1024
const CONNECTIONS = 32
const PEERS = [behindNginx, nginx]

export const accelerated: Row = {
  name: 'accelerated',
  title: 'Download of 1 GiB in one stream, sent by nginx (X-Accel-Redirect)',
  async run(context) {
    const sizeBytes = context.quick ? GIB / 16 : GIB
    const content = await write('accelerated', { count: 1, sizeBytes }, context)
    return measure(accelerated, content, context, serving => drain(serving, sizeBytes, context))
  },
}

export const acceleratedSmall: Row = {
  name: 'accelerated-small',
  title: 'Media of 64 KiB each, 32 connections, sent by nginx (X-Accel-Redirect)',
  async run(context) {
    const content = await write('small', { count: context.quick ? 50 : 1000, sizeBytes: SMALL_BYTES }, context)
    const load = { connections: CONNECTIONS, seconds: context.quick ? 1 : 5, bodyBytes: SMALL_BYTES }
    return measure(acceleratedSmall, content, context, serving => storm(serving, load, context))
  },
}

async function write(
  folderName: string,
  { count, sizeBytes }: { readonly count: number; readonly sizeBytes: number },
  context: BenchContext,
): Promise<Content> {
  const folder = await context.workspace.folder(folderName)
  const names = Array.from({ length: count }, (_, index) => `${index}.bin`)
  for (const [index, name] of names.entries()) await writeRandomFile(join(folder, name), sizeBytes, index)
  return { folder, names }
}

async function measure(
  row: Row,
  content: Content,
  context: BenchContext,
  sample: (serving: Parameters<typeof drain>[0]) => ReturnType<typeof drain>,
): Promise<RowResult> {
  const missing = await nginx.missing()
  if (missing !== null) return leftOut(row, missing)
  await using servers = await serveAll(PEERS, content, context)
  const contenders = servers.list.map(({ name, serving }) => ({ name, measure: () => sample(serving) }))
  const subjects: readonly Subject[] = await takeTurns(contenders, context)
  return {
    row: row.name,
    title: row.title,
    unit: row === accelerated ? 'MB/s' : 'media/s',
    subjects,
    aims: aimsAgainst(subjects, [{ subject: behindNginx.name, peer: nginx.name, atLeast: 0.9 }]),
    notes: [
      "The processor time is nginx's; Sealift runs on the same cores. The location is that of the example in deploy/.",
    ],
  }
}
