import type { PackagedStoryboard, PackagedSubtitles } from '../packager.ts'
import { fitInto } from './rungs.ts'
import { toneMapping } from './ffmpeg-arguments.ts'
import type { LadderRun } from './ladder-run.ts'
import type { LadderPlan, VideoPlan } from './ladder-plan.ts'
import type { PrivateFolder } from './private-folder.ts'
import { splitArguments } from './run-program.ts'

/** The storyboard is needed last. */
const STORYBOARD_NICENESS = 19
const COLUMNS = 10
const ROWS = 10
const MAX_SHEETS = 10
const TILE_PIXELS = 160
/** Of longer films only key frames are decoded, which costs little. */
const SHORT_SECONDS = 60
const DEFAULT_EVERY_SECONDS = 10

type Layout = Omit<PackagedStoryboard, 'sheets'>

/** A storyboard, made by a run of its own beside the ladder; `null`: there is no video. */
export function makeStoryboard(
  run: LadderRun,
  folder: PrivateFolder,
  plan: LadderPlan,
): Promise<PackagedStoryboard | null> | null {
  const { video, format, seconds } = plan
  if (!video) return null
  const layout = storyboardLayout(video, seconds)
  const job = {
    format,
    seconds,
    niceness: STORYBOARD_NICENESS,
    filters: filters(video, layout),
    options: seconds !== null && seconds <= SHORT_SECONDS ? [] : ['-skip_frame', 'nokey'],
    outputs: [{ options: OUTPUT, url: 'file:sheet%02d.jpg' }],
  }
  const sheets = run.run(job).then(
    () => sheetsOf(folder),
    // The film plays without it; the streams of the tracks report an abort.
    () => [],
  )
  return run.track(sheets.then(sheets => (sheets.length === 0 ? null : { ...layout, sheets })))
}

const OUTPUT = [
  ...splitArguments('-map [sheets] -map_metadata -1 -an -sn -dn -fps_mode passthrough'),
  ...splitArguments(`-frames:v ${MAX_SHEETS} -c:v mjpeg -q:v 5 -f image2`),
]

/** One sheet up to a thousand seconds, ten sheets at most. Tiles show the film at 0, `everySeconds`, … */
export function storyboardLayout({ rungs }: VideoPlan, seconds: number | null): Layout {
  const tile = fitInto(rungs[0] ?? { width: TILE_PIXELS, height: TILE_PIXELS }, TILE_PIXELS, TILE_PIXELS)
  const each = seconds === null ? DEFAULT_EVERY_SECONDS : everySecondsFor(seconds)
  const tiles = seconds === null ? COLUMNS * ROWS : Math.floor(seconds / each) + 1
  const columns = Math.min(COLUMNS, tiles)
  const rows = Math.min(ROWS, Math.ceil(tiles / columns))
  return { everySeconds: each, columns, rows, tileWidth: tile.width, tileHeight: tile.height }
}

function everySecondsFor(seconds: number): number {
  if (seconds <= 1000) return Math.max(1, Math.ceil(seconds / (COLUMNS * ROWS)))
  return Math.max(10, Math.ceil(seconds / (COLUMNS * ROWS * MAX_SHEETS)))
}

function filters({ stream, hdr }: VideoPlan, layout: Layout): string {
  const { everySeconds, tileWidth, tileHeight, columns, rows } = layout
  const chain = [
    `fps=1/${everySeconds}:start_time=0:round=up`,
    `scale=${tileWidth}:${tileHeight}:out_range=pc`,
    'setsar=1',
    ...(hdr ? toneMapping(hdr) : []),
    'format=yuvj420p',
    `tile=${columns}x${rows}`,
  ]
  return `[0:${stream}]${chain.join(',')}[sheets]`
}

async function sheetsOf(folder: PrivateFolder): Promise<Uint8Array<ArrayBuffer>[]> {
  const sheets = await Promise.all((await folder.names('sheet')).map(name => folder.read(name)))
  return sheets.filter(sheet => sheet !== null)
}

/** Subtitles give way to the ladder. */
const SUBTITLES_NICENESS = 10

/** All subtitles in one run of their own: their rare packets must not hold up the ladder. */
export function extractSubtitles(run: LadderRun, folder: PrivateFolder, plan: LadderPlan): PackagedSubtitles[] {
  if (plan.subtitles.length === 0) return []
  const { format, seconds } = plan
  const outputs = plan.subtitles.map(({ stream }, index) => ({
    options: ['-map', `0:${stream}`, '-c:s', 'webvtt', '-map_metadata', '-1', '-f', 'webvtt'],
    url: folder.url(fileOf(index)),
  }))
  // Subtitles up to a damage are still of use; the streams of the tracks report an abort.
  const done = run.run({ format, seconds, niceness: SUBTITLES_NICENESS, outputs }).catch(() => undefined)
  return plan.subtitles.map(({ language, name, isDefault, isForced }, index) => {
    const text = run.track(done.then(() => textOf(folder, index)))
    text.catch(() => undefined)
    return {
      ...(language !== undefined && { language }),
      ...(name !== undefined && { name }),
      isDefault,
      isForced,
      text,
    }
  })
}

const fileOf = (index: number): string => `subtitles${index}.vtt`

async function textOf(folder: PrivateFolder, index: number): Promise<Uint8Array<ArrayBuffer>> {
  const written = await folder.read(fileOf(index))
  return written && written.byteLength > 0 ? written : new TextEncoder().encode('WEBVTT\n\n')
}
