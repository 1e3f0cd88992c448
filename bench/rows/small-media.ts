/** Many small media, many connections: what a chat full of thumbnails asks of a server. */
import { join } from 'node:path'

import type { Aim, BenchContext, Content, Row, Sample, Subject } from '../context.ts'
import { storm, stormGenerator } from '../load/storm.ts'
import { bareFiles } from '../peers/bare-files.ts'
import { DOWNLOAD_PEERS } from '../peers/index.ts'
import { takeTurns } from '../rounds.ts'
import { pairedRatios } from '../statistics.ts'
import { writeRandomFile } from '../workspace.ts'
import { aimsAgainst, present, SEALIFT } from './against.ts'
import { serveAll } from './serve-all.ts'

const BODY_BYTES = 64 * 1024
const CONNECTIONS = 32
/** The first set fits into any cache of open files; the second is larger than some. */
const MEDIA_COUNTS = [200, 1000]
const QUICK_MEDIA_COUNTS = [20, 50]
const MOST_CPU_OF_BARE = 1.2

export const smallMedia: Row = {
  name: 'small',
  title: 'Media of 64 KiB each, 32 connections',
  async run(context) {
    const { able, notes } = await present([...DOWNLOAD_PEERS, bareFiles])
    const subjects: Subject[] = []
    const aims: Aim[] = []
    for (const count of context.quick ? QUICK_MEDIA_COUNTS : MEDIA_COUNTS) {
      const content = await writeContent(count, context)
      await using servers = await serveAll(able, content, context)
      const seconds = context.quick ? 1 : 5
      const load = { connections: CONNECTIONS, seconds, bodyBytes: BODY_BYTES }
      const measured = await takeTurns(
        servers.list.map(({ name, serving }) => ({
          name: `${name}, ${count} media`,
          measure: () => storm(serving, load, context),
        })),
        context,
      )
      subjects.push(...measured)
      aims.push(...aimsFor(measured, count, seconds))
    }
    return {
      row: 'small',
      title: smallMedia.title,
      unit: 'media/s',
      subjects,
      aims,
      notes: [
        ...notes,
        `Different media in random order, requested by ${await stormGenerator()}.`,
        'The bare server keeps every file open and does nothing but read and respond.',
      ],
    }
  },
}

async function writeContent(count: number, context: BenchContext): Promise<Content> {
  const names = Array.from({ length: count }, (_, index) => `${index}.bin`)
  const folder = await context.workspace.folder('small')
  for (const [index, name] of names.entries()) await writeRandomFile(join(folder, name), BODY_BYTES, index)
  return { folder, names }
}

function aimsFor(subjects: readonly Subject[], count: number, seconds: number): Aim[] {
  const named = (name: string): string => `${name}, ${count} media`
  const subject = named(SEALIFT)
  return [
    ...aimsAgainst(subjects, [
      { subject, peer: named('nginx'), atLeast: 0.3 },
      { subject, peer: named('express.static'), atLeast: 1.9 },
    ]),
    ...cpuAim(subjects, { subject, peer: named(bareFiles.name), seconds }),
  ]
}

/** Processor time for one media, against the bare server's in the same round. */
function cpuAim(
  subjects: readonly Subject[],
  { subject, peer, seconds }: { subject: string; peer: string; seconds: number },
): Aim[] {
  const costs = (name: string): number[] =>
    (subjects.find(each => each.name === name)?.samples ?? []).map(sample => cpuPerMedia(sample, seconds))
  const ratios = pairedRatios(costs(subject), costs(peer))
  return ratios.length === 0 ? [] : [{ label: `CPU: ${subject} ÷ ${peer}`, ratios, atMost: MOST_CPU_OF_BARE }]
}

function cpuPerMedia({ value, serverCpuSeconds = 0 }: Sample, seconds: number): number {
  return serverCpuSeconds / (value * seconds)
}
