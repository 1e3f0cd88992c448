/** One large media, one stream, one connection. */
import { join } from 'node:path'

import { drain } from '../load/drain.ts'
import type { BenchContext, Row } from '../context.ts'
import { DOWNLOAD_PEERS } from '../peers/index.ts'
import { takeTurns } from '../rounds.ts'
import { writeRandomFile } from '../workspace.ts'
import { aimsAgainst, present } from './against.ts'
import { serveAll } from './serve-all.ts'

const GIB = 1024 ** 3

export const download: Row = {
  name: 'download',
  title: 'Download of 1 GiB in one stream',
  async run(context) {
    const sizeBytes = context.quick ? GIB / 16 : GIB
    const content = { folder: await context.workspace.folder('large'), names: ['large.bin'] }
    await writeRandomFile(join(content.folder, 'large.bin'), sizeBytes, 1)
    const { able, notes } = await present(DOWNLOAD_PEERS)
    await using servers = await serveAll(able, content, context)
    const subjects = await takeTurns(
      servers.list.map(({ name, serving }) => ({ name, measure: () => drain(serving, sizeBytes, context) })),
      context,
    )
    return {
      row: 'download',
      title: download.title,
      unit: 'MB/s',
      subjects,
      aims: aimsAgainst(subjects, [
        { peer: 'nginx', atLeast: 0.6 },
        { peer: 'express.static', atLeast: 1.5 },
      ]),
      notes: [...notes, ...sizeNote(context, sizeBytes)],
    }
  },
}

function sizeNote(context: BenchContext, sizeBytes: number): string[] {
  return context.quick ? [`Quick run: ${sizeBytes / 1024 ** 2} MiB instead of 1 GiB.`] : []
}
