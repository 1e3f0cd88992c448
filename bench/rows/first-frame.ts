/** How soon a sealed film shows its first picture over a slow line, beside the same file served plainly. */
import { join } from 'node:path'

import type { BenchContext, Row, Sample, Subject } from '../context.ts'
import { type Link, startLink } from '../link/link.ts'
import { startNginx } from '../peers/nginx.ts'
import { lastLine, sealiftCommand } from '../peers/sealift-round-trip.ts'
import { startSealift } from '../peers/sealift.ts'
import { randomNumbers } from '../random.ts'
import { pairedRatios } from '../statistics.ts'
import { missingTools } from '../tools.ts'
import { missingChromium, openBrowser, type PlayingBrowser } from '../video/browser.ts'
import { makeClip, repeatClip } from '../video/films.ts'
import type { FirstFrame } from '../video/page.ts'
import { leftOut } from './left-out.ts'

const LINE = { roundTripMs: 50, megabitsPerSecond: 10 }
const CLIP = { size: '1280x720', kilobitsPerSecond: 1700 } as const
const MINUTES = [1, 10] as const
const SEEKS = 5

export const firstFrame: Row = {
  name: 'first-frame',
  title: `First picture of a sealed film over ${LINE.roundTripMs} ms and ${LINE.megabitsPerSecond} Mbit/s, in Chromium`,
  async run(context) {
    const missing = missingChromium() ?? (await missingTools('ffmpeg', 'nginx'))
    if (missing !== null) return leftOut(firstFrame, missing)
    await using stage = await open(context)
    const figures = await measureAll(stage)
    const { shown, seeks, bytes } = figures
    return {
      row: 'first-frame',
      title: firstFrame.title,
      unit: 'ms',
      subjects: [
        ...shown.flatMap(({ name, ours, theirs }) => [
          subject(`Sealift, ${name}`, ours, 'fromAttach'),
          subject(`nginx, plain MP4, ${name}`, theirs, 'fromAttach'),
          subject(`Sealift, ${name}, link not opened yet`, ours, 'fromLink'),
          subject(`nginx, plain MP4, ${name}, no connection yet`, theirs, 'fromLink'),
        ]),
        { name: 'Sealift, seek to where nothing is', samples: seeks.map(value => ({ value })) },
      ],
      aims: [
        ...shown.map(({ name, ours, theirs }) => ({
          label: `Sealift ÷ nginx, ${name}`,
          ratios: pairedRatios(times(ours, 'fromAttach'), times(theirs, 'fromAttach')),
          atMost: 1.3,
        })),
        ...shown.map(({ name, ours, theirs }) => ({
          label: `the same from the link on, ${name}`,
          ratios: pairedRatios(times(ours, 'fromLink'), times(theirs, 'fromLink')),
        })),
        { label: 'fetched for the first picture', ratios: bytes.map(each => each / 1e6), atMost: 1.5, unit: 'MB' },
        { label: 'slowest seek', ratios: [Math.max(...seeks) / 1000], atMost: 1.5, unit: 's' },
      ],
      notes: [
        `${CLIP.size}, ${CLIP.kilobitsPerSecond + 128} kbit/s, key frames every 2 s; a page without cache for each.`,
        'From attach(), the parcel being open, and from setting src, a connection being open; windows as TCP has them.',
        `Seeks: ${SEEKS} places of the longer film, in every round others.`,
      ],
    }
  },
}

interface Film {
  readonly name: string
  readonly seconds: number
  readonly link: string
  readonly url: string
}

interface Stage extends AsyncDisposable {
  readonly context: BenchContext
  readonly browser: PlayingBrowser
  readonly films: readonly Film[]
  /** To Sealift. */
  readonly line: Link
}

async function open(context: BenchContext): Promise<Stage> {
  await using stack = new AsyncDisposableStack()
  const folder = await context.workspace.folder('films')
  const home = await context.workspace.folder('sender')
  const server = stack.use(await startSealift(context))
  const web = stack.use(await startNginx(folder, context))
  const line = stack.use(await startLink({ ...LINE, targetPort: portOf(server.origin) }))
  const webLine = stack.use(await startLink({ ...LINE, targetPort: portOf(web.origin) }))
  const clip = join(folder, 'clip.mp4')
  context.progress('making the films')
  await makeClip({ ...CLIP, path: clip, seconds: context.quick ? 6 : 20 }, context)
  const films: Film[] = []
  for (const minutes of context.quick ? [1] : MINUTES) {
    const seconds = minutes * 60
    const path = join(folder, `${minutes}.mp4`)
    await repeatClip(clip, { path, seconds }, context)
    const sent = await sealiftCommand(['send', path, '--server', server.origin, '--no-previews'], home, context)
    const link = lastLine(sent).replace(server.origin, line.origin)
    films.push({ name: `${minutes} min`, seconds, link, url: `${webLine.origin}/${minutes}.mp4` })
  }
  const browser = stack.use(await openBrowser())
  const owned = stack.move()
  return { context, browser, films, line, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}

const portOf = (origin: string): number => Number(new URL(origin).port)

interface Shown {
  readonly name: string
  readonly ours: FirstFrame[]
  readonly theirs: FirstFrame[]
}

interface Figures {
  readonly shown: readonly Shown[]
  readonly seeks: number[]
  readonly bytes: number[]
}

async function measureAll(stage: Stage): Promise<Figures> {
  const { context, films } = stage
  const figures: Figures = { shown: films.map(({ name }) => ({ name, ours: [], theirs: [] })), seeks: [], bytes: [] }
  const random = randomNumbers(9)
  for (let round = -1; round < context.rounds; round++) {
    for (const [index, film] of films.entries()) {
      context.signal.throwIfAborted()
      const isLast = index === films.length - 1
      const places = isLast ? Array.from({ length: SEEKS }, () => 40 + random() * (film.seconds - 50)) : []
      const ours = await sealed(film, places, stage)
      const theirs = await plain(film, stage)
      const told = [ours.shown, theirs].map(
        ({ fromAttach, fromLink }) => `${Math.round(fromAttach)}/${Math.round(fromLink)}`,
      )
      context.progress(
        `${round < 0 ? 'warm-up' : `round ${round + 1}/${context.rounds}`}, ${film.name}: ${told.join(' against ')} ms, ` +
          `${ours.bytes} bytes; seeks ${ours.seeks.map(Math.round).join(' ')}`,
      )
      if (round < 0) continue
      figures.shown[index]?.ours.push(ours.shown)
      figures.shown[index]?.theirs.push(theirs)
      figures.bytes.push(ours.bytes)
      figures.seeks.push(...ours.seeks)
    }
  }
  return figures
}

async function sealed(
  film: Film,
  places: readonly number[],
  { browser, line }: Stage,
): Promise<{ shown: FirstFrame; bytes: number; seeks: number[] }> {
  const before = await line.carried()
  return browser.withPage(async evaluate => {
    const shown = await evaluate<FirstFrame>(`bench.sealed(${JSON.stringify(film.link)})`)
    const after = await line.carried()
    const seeks: number[] = []
    for (const place of places) seeks.push(await evaluate<number>(`bench.seek(${place})`))
    return { shown, bytes: after.down - before.down, seeks }
  })
}

function plain({ url }: Film, { browser }: Stage): Promise<FirstFrame> {
  return browser.withPage(evaluate => evaluate<FirstFrame>(`bench.plain(${JSON.stringify(url)})`))
}

function times(all: readonly FirstFrame[], which: keyof FirstFrame): number[] {
  return all.map(each => each[which])
}

function subject(name: string, all: readonly FirstFrame[], which: keyof FirstFrame): Subject {
  return { name, samples: times(all, which).map((value): Sample => ({ value })) }
}
