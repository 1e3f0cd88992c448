/** Many mixed files over a long line: what parallelism is for. */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'

import type { BenchContext, Row, Sample } from '../context.ts'
import { type Link, measureLink, startLink } from '../link/link.ts'
import { type MixedFiles, writeMixedFiles } from '../mixed-files.ts'
import { startSealift } from '../peers/sealift.ts'
import { run } from '../processes.ts'

const ROUND_TRIP_MS = 50
const MEGABITS_PER_SECOND = 300
/** One at a time takes a minute or more, always alike: the line's delay makes nearly all of it. */
const ONE_BY_ONE_ROUNDS = 1

export const longLink: Row = {
  name: 'link',
  title: `300 mixed files over ${ROUND_TRIP_MS} ms and ${MEGABITS_PER_SECOND} Mbit/s, sent and fetched`,
  async run(context) {
    const line = { roundTripMs: ROUND_TRIP_MS, megabitsPerSecond: MEGABITS_PER_SECOND }
    const quality = await measureLink(line)
    const files = await writeMixedFiles(await context.workspace.folder('mixed'), context.quick ? 30 : 300)
    await using server = await startSealift(context, { pinned: false })
    await using link = await startLink({ ...line, targetPort: Number(new URL(server.origin).port) })
    const trip = { link, files, context }
    await exchange('together', trip)
    const together = await repeat(context.rounds, () => exchange('together', trip))
    const apart = await repeat(ONE_BY_ONE_ROUNDS, () => exchange('one', trip))
    const bandwidthSeconds = (files.totalBytes * 8) / (MEGABITS_PER_SECOND * 1e6)
    return {
      row: 'link',
      title: longLink.title,
      unit: 's',
      subjects: [
        { name: 'Sealift, all together', samples: together.map(total) },
        { name: '  of which sending', samples: together.map(times => ({ value: times.send })) },
        { name: '  of which fetching', samples: together.map(times => ({ value: times.get })) },
        { name: 'Sealift, one at a time', samples: apart.map(total) },
        { name: 'the bytes alone, both ways', samples: [{ value: bandwidthSeconds * 2 }] },
      ],
      aims: [
        {
          label: 'all together ÷ the bytes alone',
          ratios: together.map(times => total(times).value / (bandwidthSeconds * 2)),
          atMost: 1.3,
        },
        {
          label: 'one at a time ÷ all together',
          ratios: together.map(times => (apart[0] ? total(apart[0]).value : NaN) / total(times).value),
          atLeast: 8,
        },
      ],
      notes: [
        `${files.paths.length} files, ${Math.round(files.totalBytes / 1e6)} MB before sealing; 60 % are below 300 kB.`,
        'One at a time: each file in a parcel of its own, by the same process over connections that stay open.',
        `The line, measured: ${quality.roundTripMs.toFixed(1)} ms, ${Math.round(quality.megabitsPerSecondUp)} Mbit/s up, ` +
          `${Math.round(quality.megabitsPerSecondDown)} Mbit/s down; windows begin at 10 segments and double each round trip.`,
      ],
    }
  },
}

interface Times {
  readonly send: number
  readonly get: number
}

interface Trip {
  readonly link: Link
  readonly files: MixedFiles
  readonly context: BenchContext
}

async function exchange(mode: 'together' | 'one', { link, files, context }: Trip): Promise<Times> {
  const inbox = join(await context.workspace.folder('inbox'), 'files')
  const script = join(import.meta.dirname, '../link/exchange-client.ts')
  const args = [script, context.build.sdk, link.origin, mode, files.folder, inbox]
  const said = await run({ command: process.execPath, args, signal: context.signal })
  await rm(inbox, { recursive: true })
  const match = /send=([\d.]+) get=([\d.]+)/.exec(said)
  context.progress(`${mode}: ${said.trim()}`)
  return { send: Number(match?.[1]), get: Number(match?.[2]) }
}

async function repeat(count: number, work: () => Promise<Times>): Promise<Times[]> {
  const all: Times[] = []
  for (let round = 0; round < count; round++) all.push(await work())
  return all
}

function total({ send, get }: Times): Sample {
  return { value: send + get }
}
