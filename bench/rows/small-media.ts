/** Many small media, many connections: what a chat full of thumbnails asks of a server. */
import { join } from 'node:path'

import { storm, stormGenerator } from '../load/storm.ts'
import type { Row } from '../context.ts'
import { DOWNLOAD_PEERS } from '../peers/index.ts'
import { takeTurns } from '../rounds.ts'
import { writeRandomFile } from '../workspace.ts'
import { aimsAgainst, present } from './against.ts'
import { serveAll } from './serve-all.ts'

const BODY_BYTES = 64 * 1024
const CONNECTIONS = 32

export const smallMedia: Row = {
  name: 'small',
  title: 'Media of 64 KiB each, 32 connections',
  async run(context) {
    const names = Array.from({ length: context.quick ? 50 : 1000 }, (_, index) => `${index}.bin`)
    const content = { folder: await context.workspace.folder('small'), names }
    for (const [index, name] of names.entries()) await writeRandomFile(join(content.folder, name), BODY_BYTES, index)
    const { able, notes } = await present(DOWNLOAD_PEERS)
    await using servers = await serveAll(able, content, context)
    const load = { connections: CONNECTIONS, seconds: context.quick ? 1 : 5, bodyBytes: BODY_BYTES }
    const subjects = await takeTurns(
      servers.list.map(({ name, serving }) => ({ name, measure: () => storm(serving, load, context) })),
      context,
    )
    return {
      row: 'small',
      title: smallMedia.title,
      unit: 'media/s',
      subjects,
      aims: aimsAgainst(subjects, [
        { peer: 'nginx', atLeast: 0.3 },
        { peer: 'express.static', atLeast: 2.5 },
      ]),
      notes: [...notes, `${names.length} different media in random order, asked for by ${await stormGenerator()}.`],
    }
  },
}
