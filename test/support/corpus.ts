/** Small films of many kinds, made by ffmpeg: each container with each peculiarity that it can carry. */
import { join } from 'node:path'

import { ffmpeg } from './films.ts'

export interface CorpusFilm {
  /** Container, then what is peculiar. */
  readonly name: string
  /** Whether it has to become a film: `copied`, `encoded`; `file`: known to go as a file. */
  readonly becomes: 'copied' | 'encoded' | 'file'
  readonly make: (path: string, sources: Sources) => Promise<void>
}

/** Encoded films that others are made of by copying; each is made once. */
export interface Sources {
  (kind: SourceKind): Promise<string>
}

const PICTURES = 'testsrc2=size=128x72:rate=25:duration=2'
const TONE = 'sine=frequency=440:duration=2'
const H264 = ['-c:v', 'libx264', '-preset', 'veryfast', '-pix_fmt', 'yuv420p', '-g', '25', '-bf', '2']
const AAC = ['-c:a', 'aac', '-b:a', '64k']
const VP9 = ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-g', '25', '-pix_fmt', 'yuv420p']
const OPUS = ['-c:a', 'libopus', '-b:a', '48k']
const HDR_COLOUR = 'colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:log-level=none'
const HDR = [
  '-c:v',
  'libx265',
  '-preset',
  'ultrafast',
  '-pix_fmt',
  'yuv420p10le',
  '-x265-params',
  HDR_COLOUR,
  '-g',
  '25',
]

const lavfi = (...sources: readonly string[]): string[] => sources.flatMap(each => ['-f', 'lavfi', '-i', each])
const both = lavfi(PICTURES, TONE)
const VARYING = ['-vf', "select='gt(n,25)+not(mod(n,3))'", '-vsync', 'vfr']
const OPEN_GOP = ['-x264-params', 'open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0']
const AT_1000 = lavfi('testsrc2=size=128x72:rate=1000:duration=0.2', 'sine=frequency=440:duration=0.2')
const TWO_TONES = [...lavfi(PICTURES, TONE, 'sine=frequency=880:duration=2'), '-map', '0', '-map', '1', '-map', '2']

/** Options of ffmpeg, from the inputs to the codecs. They become MP4 or Matroska. */
const SOURCES = {
  plain: [...both, ...H264, ...AAC],
  vfr: [...both, ...H264, ...AAC, ...VARYING],
  openGop: [...both, ...H264, ...OPEN_GOP, ...AAC],
  hdr: [...both, ...HDR, '-tag:v', 'hvc1', ...AAC],
  one: [...both, '-frames:v', '1', '-t', '0.04', ...H264, ...AAC],
  fast: [...AT_1000, ...H264, ...AAC],
  two: [...TWO_TONES, ...H264, ...AAC],
  vp9: [...both, ...VP9, ...OPUS],
  vp9Vfr: [...both, ...VP9, ...OPUS, ...VARYING],
  vp9One: [...both, '-frames:v', '1', '-t', '0.04', ...VP9, ...OPUS],
  vp9Fast: [...AT_1000, ...VP9, ...OPUS],
  vp9Two: [...TWO_TONES, ...VP9, ...OPUS],
} as const satisfies Record<string, readonly string[]>

export type SourceKind = keyof typeof SOURCES

export function sourcesIn(folder: string): Sources {
  const made = new Map<SourceKind, Promise<string>>()
  const make = async (kind: SourceKind): Promise<string> => {
    const path = join(folder, `source-${kind}.${kind.startsWith('vp9') ? 'webm' : 'mp4'}`)
    await ffmpeg(...SOURCES[kind], path)
    return path
  }
  return kind => {
    const path = made.get(kind) ?? make(kind)
    made.set(kind, path)
    return path
  }
}

interface Variant {
  readonly source: SourceKind
  /** Before the input. */
  readonly before?: readonly string[]
  /** After it. */
  readonly after?: readonly string[]
  /** Instead of one input. */
  readonly inputs?: (path: string) => readonly string[]
}

const late = (seconds: number, which: 'v' | 'a'): Variant => ({
  source: 'plain',
  inputs: path => ['-i', path, '-itsoffset', `${seconds}`, '-i', path],
  after: which === 'v' ? ['-map', '1:v', '-map', '0:a'] : ['-map', '0:v', '-map', '1:a'],
})

const VARIANTS = {
  plain: { source: 'plain' },
  'cut by an edit list': { source: 'plain', before: ['-ss', '0.7'] },
  'of varying frame rate': { source: 'vfr' },
  'of open GOPs': { source: 'openGop' },
  'cut out of open GOPs': { source: 'openGop', before: ['-ss', '0.96'] },
  'turned by a quarter': { source: 'plain', after: ['-metadata:s:v', 'rotate=90'] },
  HDR: { source: 'hdr' },
  'of one frame': { source: 'one' },
  'of 1000 frames a second': { source: 'fast' },
  'with late frames': late(0.8, 'v'),
  'with late audio': late(0.8, 'a'),
  'with two audio tracks': { source: 'two' },
} as const satisfies Record<string, Variant>

type VariantName = keyof typeof VARIANTS

const EVERY = Object.keys(VARIANTS) as VariantName[]
const NOT_TURNED = EVERY.filter(name => name !== 'turned by a quarter')
const NOT_HDR = EVERY.filter(name => name !== 'HDR')
/** An edit list that begins between two key frames hides frames that copying would show. */
const CUT: readonly VariantName[] = ['cut by an edit list']
const FEW: readonly VariantName[] = ['plain', 'of varying frame rate', 'of one frame', 'with late audio']

interface Container {
  readonly ending: string
  /** What of it goes as a file. */
  readonly files?: readonly VariantName[]
  readonly options: readonly string[]
  readonly becomes: CorpusFilm['becomes']
  readonly variants: readonly VariantName[]
}

const TS = ['-f', 'mpegts']
/** By copying H.264 (or H.265) and AAC into them. */
const CONTAINERS: readonly Container[] = [
  { ending: 'mp4', options: [], becomes: 'copied', variants: EVERY, files: CUT },
  { ending: 'mov', options: [], becomes: 'copied', variants: EVERY, files: CUT },
  { ending: '3gp', options: [], becomes: 'copied', variants: NOT_HDR, files: CUT },
  { ending: 'mkv', options: [], becomes: 'copied', variants: NOT_TURNED },
  { ending: 'ts', options: TS, becomes: 'copied', variants: NOT_TURNED, files: ['cut out of open GOPs'] },
  {
    ending: 'm2ts',
    options: [...TS, '-mpegts_m2ts_mode', '1'],
    becomes: 'copied',
    variants: NOT_TURNED,
    files: ['cut out of open GOPs', 'with late frames'],
  },
  { ending: 'flv', options: [], becomes: 'encoded', variants: FEW },
]

function copied({ ending, options, becomes, variants, files = [] }: Container): CorpusFilm[] {
  return variants.map(name => {
    const { source, before = [], after = ['-map', '0'], inputs }: Variant = VARIANTS[name]
    return {
      name: `${ending}, ${name}`,
      becomes: files.includes(name) ? 'file' : becomes,
      make: async (path, sources) => {
        const from = await sources(source)
        const given = inputs?.(from) ?? ['-i', from]
        await ffmpeg(...before, ...given, ...after, '-c', 'copy', ...options, path)
      },
    }
  })
}

const film = (name: string, becomes: CorpusFilm['becomes'], ...options: readonly string[]): CorpusFilm => ({
  name,
  becomes,
  make: async path => void (await ffmpeg(...options, path)),
})

const from = (
  name: string,
  becomes: CorpusFilm['becomes'],
  source: SourceKind,
  ...options: readonly string[]
): CorpusFilm => ({
  name,
  becomes,
  make: async (path, sources) =>
    void (await ffmpeg('-i', await sources(source), ...COVER, '-map', '0', '-c', 'copy', ...options, path)),
})

const COVER = ['-f', 'lavfi', '-i', 'color=red:size=64x64:rate=25:duration=0.04']
const COVER_BESIDE = ['-map', '1', '-c:v:1', 'png', '-disposition:v:1', 'attached_pic']

/** The file's ending is the first word of its name. */
export const CORPUS: readonly CorpusFilm[] = [
  ...CONTAINERS.flatMap(copied),
  from('mp4, fragmented', 'copied', 'plain', '-movflags', 'frag_keyframe+empty_moov'),
  from('mp4, partly fragmented', 'file', 'plain', '-movflags', 'frag_keyframe'),
  from('mkv, without duration', 'copied', 'plain', '-f', 'matroska', '-live', '1'),
  from('webm, without duration', 'copied', 'vp9', '-f', 'webm', '-live', '1'),
  from('webm, plain', 'copied', 'vp9'),
  from('webm, of varying frame rate', 'copied', 'vp9Vfr'),
  from('webm, of one frame', 'file', 'vp9One'),
  from('webm, of 1000 frames a second', 'copied', 'vp9Fast'),
  from('webm, with two audio tracks', 'copied', 'vp9Two'),
  from('mp4, with a cover', 'copied', 'plain', ...COVER_BESIDE),
  from('mkv, with a cover', 'copied', 'plain', ...COVER_BESIDE),
  film('avi, plain', 'encoded', ...both, '-c:v', 'mpeg4', '-c:a', 'libmp3lame'),
  film('avi, with two audio tracks', 'encoded', ...TWO_TONES, '-c:v', 'mpeg4', '-c:a', 'libmp3lame'),
  film('avi, of one frame', 'encoded', ...both, '-frames:v', '1', '-t', '0.04', '-c:v', 'mpeg4', '-c:a', 'libmp3lame'),
  film('wmv, plain', 'encoded', ...both, '-c:v', 'wmv2', '-c:a', 'wmav2'),
  film('mpg, plain', 'encoded', ...both, '-c:v', 'mpeg2video', '-c:a', 'mp2', '-f', 'vob'),
  film('ogv, plain', 'encoded', ...both, '-c:v', 'libtheora', '-c:a', 'libvorbis'),
]
