/** Small media from one process and from two, on the same cores, which the load shares. */
import { join } from 'node:path'

import { storm } from '../load/storm.ts'
import type { BenchContext, Content, Row, Serving } from '../context.ts'
import { missingValkey, startValkey } from '../peers/engines.ts'
import { startSealift, storeFile } from '../peers/sealift.ts'
import { startScript } from '../peers/script.ts'
import { takeTurns } from '../rounds.ts'
import { writeRandomFile } from '../workspace.ts'
import { aimsAgainst } from './against.ts'
import { leftOut } from './left-out.ts'

const BODY_BYTES = 64 * 1024
const CONNECTIONS = 32
const ONE = 'Sealift, 1 process'
const TWO = 'Sealift, 2 processes'
const ALONE = 'Sealift, 1 process, limits in memory'
const BARE_ONE = 'node:http with one response in memory, 1 process'
const BARE_TWO = 'node:http with one response in memory, 2 processes'

export const workers: Row = {
  name: 'workers',
  title: 'Media of 64 KiB each from one and from two processes',
  async run(context) {
    const missing = await missingValkey()
    if (missing !== null) return leftOut(workers, missing)
    const names = Array.from({ length: context.quick ? 50 : 1000 }, (_, index) => `${index}.bin`)
    const content = { folder: await context.workspace.folder('small'), names }
    for (const [index, name] of names.entries()) await writeRandomFile(join(content.folder, name), BODY_BYTES, index)
    await using stack = new AsyncDisposableStack()
    const valkey = stack.use(await startValkey(context))
    const shared = { shared: 'valkey', valkey: { url: valkey.facts.url } }
    const servers = [
      { name: ONE, serving: stack.use(await serve(content, { limits: shared, workers: 1 }, context)) },
      { name: TWO, serving: stack.use(await serve(content, { limits: shared, workers: 2 }, context)) },
      { name: ALONE, serving: stack.use(await serve(content, {}, context)) },
      { name: BARE_ONE, serving: stack.use(await serveBare(1)) },
      { name: BARE_TWO, serving: stack.use(await serveBare(2)) },
    ]
    const seconds = context.quick ? 1 : 5
    const load = { connections: CONNECTIONS, seconds, bodyBytes: BODY_BYTES, pinned: false, light: true }
    const subjects = await takeTurns(
      servers.map(({ name, serving }) => ({ name, measure: () => storm(serving, load, context) })),
      context,
    )
    return {
      row: 'workers',
      title: workers.title,
      unit: 'media/s',
      subjects,
      aims: aimsAgainst(subjects, [
        { subject: TWO, peer: ONE, atLeast: 1.4 },
        { subject: TWO, peer: ALONE },
        { subject: BARE_TWO, peer: BARE_ONE },
      ]),
      notes: [
        'Nothing is pinned: servers, Valkey and load share all cores. Files and SQLite; limits are counted in Valkey for all',
        'processes together, except where it says in memory. The bare servers show what a second process gains here at all.',
      ],
    }
  },
}

/** Processes that only respond with the same bytes. */
async function serveBare(processes: number): Promise<Serving> {
  const server = await startScript('bare-server.ts', [String(processes), String(BODY_BYTES)], undefined)
  return { ...server, paths: ['/'] }
}

async function serve(content: Content, settings: Readonly<Record<string, unknown>>, context: BenchContext) {
  const server = await startSealift(context, { pinned: false, settings })
  const paths: string[] = []
  for (const name of content.names) paths.push(`/v1/media/${await storeFile(server, join(content.folder, name))}`)
  return { ...server, paths } satisfies Serving
}
