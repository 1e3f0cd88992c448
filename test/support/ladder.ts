/** Films for tests of players, made by ffmpeg of its test sources: a ladder, sound to choose from, subtitles. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import type {
  FilmDescription,
  FilmStoryboard,
  FilmTrack,
  OutgoingFilm,
  SendItem,
  TrackMedia,
  TrackProgress,
} from '../../src/client/index.ts'

const run = promisify(execFile)

export interface LadderOptions {
  /** Whole number; segments are `segmentSeconds` long. */
  readonly seconds: number
  readonly segmentSeconds?: number
  /** Heights in pixels, best first; widths follow at 16:9. None: sound alone. */
  readonly sizes?: readonly { readonly height: number; readonly kbps: number }[]
  /** Frequencies of tones. More than one: sound is apart from the pictures, to choose from. */
  readonly tones?: readonly number[]
}

/** A track as ffmpeg wrote it: the file, and where its segments are. */
export interface LadderTrack {
  readonly bytes: Uint8Array<ArrayBuffer>
  /** All but where it lies. */
  readonly facts: FilmTrack
}

export interface Ladder {
  readonly seconds: number
  readonly renditions: readonly LadderTrack[]
  readonly audio: readonly LadderTrack[]
}

const FRAME_RATE = 24

/** Encodes a film into `folder`: H.264 and AAC, single-file fragmented MP4, segments aligned in all sizes. */
export async function makeLadder(folder: string, options: LadderOptions): Promise<Ladder> {
  const { seconds, segmentSeconds = 2, sizes = [], tones = [440] } = options
  const apart = tones.length > 1 && sizes.length > 0
  const split = `-f hls -hls_time ${segmentSeconds} -hls_playlist_type vod -hls_segment_type fmp4 -hls_flags single_file`
  const sound = '-c:a aac -b:a 64k -ac 1'
  const frames = `-g ${FRAME_RATE * segmentSeconds} -sc_threshold 0 -x264-params nal-hrd=cbr`
  const pictures = `-c:v libx264 -preset ultrafast -profile:v baseline -pix_fmt yuv420p ${frames}`
  const firstTone = sizes.length > 0 ? 1 : 0
  const loose = apart || sizes.length === 0 ? tones : []
  const tallest = Math.max(...sizes.map(({ height }) => height))
  const sourceSize = `${widthOf(tallest)}x${tallest}`
  const parts = [
    '-nostdin -v error',
    ...(sizes.length > 0 ? [`-f lavfi -i testsrc2=size=${sourceSize}:rate=${FRAME_RATE}:duration=${seconds}`] : []),
    ...tones.map(tone => `-f lavfi -i sine=frequency=${tone}:sample_rate=48000:duration=${seconds}`),
    ...sizes.map(({ height, kbps }, index) => {
      const rate = `-b:v ${kbps}k -minrate ${kbps}k -maxrate ${kbps}k -bufsize ${kbps}k`
      const heard = apart ? '' : `-map ${firstTone}:a ${sound}`
      return `-map 0:v ${heard} ${pictures} -vf scale=${widthOf(height)}:${height} ${rate} ${split} v${index}.m3u8`
    }),
    ...loose.map((_, index) => `-map ${firstTone + index}:a ${sound} ${split} a${index}.m3u8`),
  ]
  await run(
    'ffmpeg',
    parts.flatMap(part => part.split(' ').filter(Boolean)),
    { cwd: folder },
  )
  const video = await Promise.all(
    sizes.map(({ height }, index) => readTrack(folder, `v${index}`, apart ? VIDEO : `${VIDEO},${AUDIO}`, height)),
  )
  const heard = await Promise.all(loose.map((_, index) => readTrack(folder, `a${index}`, AUDIO)))
  return sizes.length > 0 ? { seconds, renditions: video, audio: heard } : { seconds, renditions: heard, audio: [] }
}

const VIDEO = 'avc1.42c01f'
const AUDIO = 'mp4a.40.2'

const widthOf = (height: number): number => Math.round((height * 16) / 9 / 2) * 2

async function readTrack(folder: string, name: string, codecs: string, height?: number): Promise<LadderTrack> {
  const playlist = await readFile(join(folder, `${name}.m3u8`), 'utf8')
  const map = /#EXT-X-MAP:.*BYTERANGE="(\d+)@(\d+)"/.exec(playlist)
  const segments = Array.from(
    playlist.matchAll(/#EXTINF:([\d.]+),\s*#EXT-X-BYTERANGE:(\d+)@(\d+)/g),
    ([, seconds, length, offset]): [number, number, number] => [Number(offset), Number(length), Number(seconds)],
  )
  const bandwidth = Math.ceil(Math.max(...segments.map(([, length, seconds]) => (length * 8) / seconds)))
  const size = height === undefined ? {} : { width: widthOf(height), height, frameRate: FRAME_RATE }
  return {
    bytes: new Uint8Array(await readFile(join(folder, `${name}.m4s`))),
    facts: { codecs, bandwidth, ...size, init: [Number(map?.[2]), Number(map?.[1])], segments },
  }
}

export interface LadderItemOptions {
  readonly name?: string
  /** WebVTT. */
  readonly subtitles?: readonly { readonly text: string; readonly language: string; readonly name: string }[]
  /** JPEG sheets of 2 × 2 pictures of 160 × 90, one a second. */
  readonly sheets?: readonly Uint8Array<ArrayBuffer>[]
  /** How a track's bytes come out; whole at once unless told. */
  readonly stream?: (bytes: Uint8Array<ArrayBuffer>) => ReadableStream<Uint8Array>
}

/** A ladder as `send` takes it: every track a media item of its own, beside a short plain file. */
export function ladderItem(ladder: Ladder, options: LadderItemOptions = {}): SendItem {
  const { stream, subtitles = [], sheets = [], name = 'film.mp4' } = options
  const tracks = [...ladder.renditions, ...ladder.audio]
  const film: OutgoingFilm = {
    tracks: [
      ...tracks.map(({ bytes }) => stream?.(bytes) ?? bytes),
      ...subtitles.map(({ text }) => new TextEncoder().encode(text)),
      ...(sheets.length > 0 ? [new Blob([...sheets])] : []),
    ],
    describe: (_, progress) => describe(ladder, options, progress),
  }
  const source = new TextEncoder().encode('what the film was made of')
  return { name, type: 'video/mp4', source, film: { begin: () => Promise.resolve({ film }) } }
}

function describe(
  ladder: Ladder,
  { subtitles = [], sheets = [] }: LadderItemOptions,
  progress: readonly TrackProgress[],
): FilmDescription | null {
  const tracks = [...ladder.renditions, ...ladder.audio].map((track, index) => {
    const { media = null, readableBytes = 0 } = progress[index] ?? {}
    const segments = track.facts.segments.filter(([offset, length]) => offset + length <= readableBytes)
    return media && segments.length > 0 ? { ...track.facts, media, segments } : null
  })
  const [renditions, audio] = [tracks.slice(0, ladder.renditions.length), tracks.slice(ladder.renditions.length)]
  if (!renditions.every(track => track !== null) || !audio.every(track => track !== null)) return null
  const extras = progress.slice(tracks.length).map(({ media }) => media)
  const whole = extras.every(media => isComplete(media))
  const isLast = whole && tracks.every(track => track?.media.state === 'complete')
  const texts = subtitles.flatMap(({ language, name }, index) => {
    const media = extras[index] ?? null
    return isComplete(media) ? [{ media, language, name }] : []
  })
  const pictures = extras[subtitles.length] ?? null
  return {
    state: isLast ? 'complete' : 'sending',
    ...(isLast && { seconds: ladder.seconds }),
    renditions,
    ...(audio.length > 0 && {
      audio: audio.map((track, index) => ({ ...track, name: `Tone ${index + 1}`, isDefault: index === 0 })),
    }),
    ...(texts.length > 0 && { subtitles: texts }),
    ...(isComplete(pictures) && { storyboard: storyboard(pictures, sheets) }),
  }
}

function storyboard(media: CompleteMedia, sheets: readonly Uint8Array[]): FilmStoryboard {
  const lengths = sheets.map(sheet => sheet.byteLength)
  const places = lengths.map((length, index): [number, number] => [sum(lengths.slice(0, index)), length])
  return { media, everySeconds: 1, columns: 2, rows: 2, tileWidth: 160, tileHeight: 90, sheets: places }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0)

type CompleteMedia = Extract<TrackMedia, { state: 'complete' }>

function isComplete(media: TrackMedia | null): media is CompleteMedia {
  return media?.state === 'complete'
}

/** A sheet of 2 × 2 pictures of 160 × 90. */
export async function jpeg(folder: string): Promise<Uint8Array<ArrayBuffer>> {
  const args = '-nostdin -v error -f lavfi -i testsrc2=size=320x180 -frames:v 1 -y sheet.jpg'
  await run('ffmpeg', args.split(' '), { cwd: folder })
  return new Uint8Array(await readFile(join(folder, 'sheet.jpg')))
}
