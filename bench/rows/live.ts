/** A film that is received while it is being sent over a slow line. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'

import type { BenchContext, Row } from '../context.ts'
import { type Link, startLink } from '../link/link.ts'
import { startSealift } from '../peers/sealift.ts'
import { startService } from '../processes.ts'
import { growClip, makeClip, missingFfmpeg } from '../video/films.ts'
import { leftOut } from './left-out.ts'

const MEGABITS_PER_SECOND = 5
const ROUND_TRIP_MS = 50
const MB = 1_000_000
const CLIP = { size: '1280x720', kilobitsPerSecond: 1700 } as const
/** Nearly all of a round is the line's rate, always alike. */
const MOST_ROUNDS = 2

export const live: Row = {
  name: 'live',
  title: `A film received while it is sent over ${MEGABITS_PER_SECOND} Mbit/s`,
  async run(context) {
    const missing = await missingFfmpeg()
    if (missing !== null) return leftOut(live, missing)
    await using server = await startSealift(context, { pinned: false })
    const line = { roundTripMs: ROUND_TRIP_MS, megabitsPerSecond: MEGABITS_PER_SECOND }
    const targetPort = Number(new URL(server.origin).port)
    await using up = await startLink({ ...line, targetPort })
    await using down = await startLink({ ...line, targetPort })
    const path = join(await context.workspace.folder('live'), 'film.mp4')
    context.progress('making the film')
    await makeClip({ ...CLIP, path, seconds: 10 }, context)
    await growClip({ path, seconds: 10 }, sizeOf(context), context)
    const bytes = (await stat(path)).size
    const rounds: Times[] = []
    for (let round = 0; round < Math.min(MOST_ROUNDS, context.rounds); round++) {
      const times = await exchange({ path, bytes, up, down }, context)
      context.progress(
        `round ${round + 1}: published ${times.published.toFixed(2)} s, first pictures ${times.picture.toFixed(2)} s, ` +
          `first segment ${times.segment.toFixed(2)} s, ` +
          `received ${times.complete.toFixed(1)} s`,
      )
      rounds.push(times)
    }
    const alone = (bytes * 8) / (MEGABITS_PER_SECOND * 1e6)
    const samples = (which: keyof Times) => rounds.map(times => ({ value: times[which] }))
    return {
      row: 'live',
      title: live.title,
      unit: 's',
      subjects: [
        { name: 'Sealift, link is there', samples: samples('published') },
        { name: 'Sealift, first pictures are there', samples: samples('picture') },
        { name: 'Sealift, first segment is there', samples: samples('segment') },
        { name: 'Sealift, all is received', samples: samples('complete') },
        { name: 'the bytes alone, one way', samples: [{ value: alone }] },
      ],
      aims: [
        {
          label: 'first pictures received, after the sender began',
          ratios: rounds.map(({ picture }) => picture),
          atMost: 2.2,
          unit: 's',
        },
        {
          label: 'all received ÷ the bytes alone, one way',
          ratios: rounds.map(({ complete }) => complete / alone),
          atMost: 1.15,
        },
      ],
      notes: [
        `${Math.round(bytes / MB)} MB; sender and receiver each have a line of their own, ` +
          `${ROUND_TRIP_MS} ms and ${MEGABITS_PER_SECOND} Mbit/s each way.`,
        'Counted from the start of the command, Node included.',
        'First pictures: the first fragment, half a second of film, with all that a decoder needs.',
        'The receiver reads the first segment of the film, and downloads the file that was sent, at the same time.',
      ],
    }
  },
}

function sizeOf({ quick, full }: BenchContext): number {
  if (quick) return 5 * MB
  return (full ? 200 : 30) * MB
}

interface Stage {
  readonly path: string
  readonly bytes: number
  readonly up: Link
  readonly down: Link
}

/** Seconds since the sender's start. */
interface Times {
  readonly published: number
  readonly picture: number
  readonly segment: number
  readonly complete: number
}

async function exchange({ path, bytes, up, down }: Stage, context: BenchContext): Promise<Times> {
  const { build } = context
  const home = await context.workspace.folder('sender')
  const began = performance.now()
  const elapsed = (): number => (performance.now() - began) / 1000
  const args = [...build.cli, 'send', path, '--live', '--no-previews', '--server', up.origin]
  const env = { HOME: home, XDG_CONFIG_HOME: home, XDG_STATE_HOME: home }
  await using sender = await startService({ command: process.execPath, args, cwd: home, env }, started =>
    started.line(/(\/p\/\S+#[\w-]+)/),
  )
  const published = elapsed()
  const link = `${down.origin}${sender.found[1] ?? ''}`
  const script = join(import.meta.dirname, '../video/watch-client.ts')
  await using receiver = await startService({ command: process.execPath, args: [script, build.dist, link] }, started =>
    Promise.resolve([
      started.line(/^picture$/).then(elapsed),
      started.line(/^segment$/).then(elapsed),
      started.line(/^complete (\d+)$/),
    ] as const),
  )
  const [picture, segment, complete] = await Promise.all(receiver.found)
  const received = elapsed()
  if (Number(complete[1]) !== bytes) throw new Error(`Of ${bytes} bytes, ${complete[1]} came.`)
  return { published, picture, segment, complete: received }
}
