/** One large file from disk to disk: sealed, sent, fetched, opened. Client and server share all cores, for everyone. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'

import type { BenchContext, Row, Sample } from '../context.ts'
import { agePiped, ageStepByStep } from '../peers/age.ts'
import type { RoundTrip } from '../peers/round-trip.ts'
import { sealiftRoundTrip } from '../peers/sealift-round-trip.ts'
import { run } from '../processes.ts'
import { takeTurns } from '../rounds.ts'
import { writeRandomFile } from '../workspace.ts'
import { aimsAgainst, present } from './against.ts'

const GIB = 1024 ** 3

export const sealed: Row = {
  name: 'sealed',
  title: '1 GiB sealed, sent, fetched and opened',
  async run(context) {
    const folder = await context.workspace.folder('plain')
    const file: Parcel = { source: join(folder, 'film.mov'), target: join(folder, 'film-back.mov'), checked: new Set() }
    await writeRandomFile(file.source, context.quick ? GIB / 16 : GIB, 5)
    const { able, notes } = await present([sealiftRoundTrip, agePiped, ageStepByStep])
    await using stack = new AsyncDisposableStack()
    const contenders = []
    for (const peer of able) {
      const trip = stack.use(await peer.start(context))
      contenders.push({ name: peer.name, measure: () => measure(trip, file, context) })
    }
    const subjects = await takeTurns(contenders, context)
    return {
      row: 'sealed',
      title: sealed.title,
      unit: 's',
      subjects,
      aims: aimsAgainst(subjects, [
        { peer: ageStepByStep.name, atLeast: 1.3, smallerWins: true },
        { peer: agePiped.name, smallerWins: true },
      ]),
      notes: [
        ...notes,
        'The aim is against the four steps one after the other; joined by pipes, each pair of steps overlaps.',
        'Sealift syncs what it stores; nginx, which keeps the file for age, does not.',
      ],
    }
  },
}

interface Parcel {
  readonly source: string
  readonly target: string
  /** Who has shown, in the warm-up, that the very bytes come back. */
  readonly checked: Set<RoundTrip>
}

async function measure(trip: RoundTrip, { source, target, checked }: Parcel, context: BenchContext): Promise<Sample> {
  await run({ command: 'sync', args: [], signal: context.signal })
  const began = process.hrtime.bigint()
  await trip.sendAndGet(source, target)
  const value = Number(process.hrtime.bigint() - began) / 1e9
  if (!checked.has(trip) && (await sha256(source)) !== (await sha256(target))) throw new Error('Other bytes came back.')
  checked.add(trip)
  await trip.clear()
  await rm(target)
  return { value }
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}
