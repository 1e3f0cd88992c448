/** Poster and preview: they show a film, a song's cover or an image before it is there. */
import { rgbaToThumbHash } from 'thumbhash'

import { toBase64Url } from '../../client/bytes/base64url.ts'
import type { FileSource } from '../../client/node/files/file-source.ts'
import { CannotPackage, type Pictures } from '../packager.ts'
import type { FilmFacts, StreamFacts } from './probe.ts'
import { fitInto, shownSize, type Size } from './rungs.ts'
import { toneMapping } from './ffmpeg-arguments.ts'
import type { LadderRun } from './ladder-run.ts'
import { hdrMethod } from './ladder-plan.ts'
import type { PrivateFolder } from './private-folder.ts'
import { splitArguments } from './run-program.ts'

const NICENESS = 5
const POSTER_PIXELS = 640
const POSTER_BYTES = 512 * 1024
/** The most that a ThumbHash takes. */
const PREVIEW_PIXELS = 100
/** Past the titles of a film. Of these frames, the most typical one is taken: it is seldom black. */
const AT_SHARE = 0.1
const CHOOSE_FROM = 10

export interface PicturesOptions {
  readonly run: LadderRun
  readonly folder: PrivateFolder
  readonly facts: FilmFacts
  readonly isImage: boolean
  readonly canToneMap: boolean
  readonly maxPixels: number
}

/** @throws CannotPackage for images that are too large or cannot be read */
export async function makePictures(options: PicturesOptions): Promise<Pictures> {
  const { facts, maxPixels } = options
  const videos = facts.streams.filter(each => each.codec_type === 'video')
  // A cover shows a song; beside a video, it is ignored.
  const stream = videos.find(each => each.disposition?.attached_pic !== true) ?? videos[0]
  if (!stream) return { preview: {}, poster: null }
  const size = shownSize(stream)
  if (!size) throw new CannotPackage('The image does not declare its size')
  if ((stream.width ?? 0) * (stream.height ?? 0) > maxPixels) throw new CannotPackage('The image is too large')
  await draw(options, stream, size)
  return read(options.folder, size)
}

async function draw(options: PicturesOptions, stream: StreamFacts, size: Size): Promise<void> {
  const seconds = options.facts.format.duration ?? null
  const isStill = options.isImage || stream.disposition?.attached_pic === true
  if (isStill || seconds === null) return drawAt(options, stream, size, null)
  try {
    await drawAt(options, stream, size, seconds * AT_SHARE)
    if (await options.folder.read(PREVIEW)) return
  } catch (error) {
    if (!(error instanceof CannotPackage)) throw error
  }
  // Not every file can be read from the middle.
  await drawAt(options, stream, size, null)
}

const POSTER = 'poster.jpg'
const PREVIEW = 'preview.pam'

function drawAt(
  { run, facts, folder, isImage, canToneMap }: PicturesOptions,
  stream: StreamFacts,
  size: Size,
  second: number | null,
): Promise<void> {
  const hdr = hdrMethod(stream, canToneMap)
  const small = isImage ? withinBox(POSTER_PIXELS) : fixed(fitInto(size, POSTER_PIXELS, POSTER_PIXELS))
  const chain = [
    small,
    'setsar=1',
    ...(hdr ? toneMapping(hdr) : []),
    ...(isImage ? [] : [`thumbnail=${CHOOSE_FROM}`]),
    'split[p][t];[p]format=yuvj420p[poster];[t]format=rgba',
    `${withinBox(PREVIEW_PIXELS)}[preview]`,
  ]
  const once = '-frames:v 1 -map_metadata -1 -f image2 -update 1'
  return run.run({
    format: facts.format.format_name.split(',')[0] ?? '',
    seconds: facts.format.duration ?? null,
    niceness: NICENESS,
    options: second === null ? [] : splitArguments(`-ss ${second.toFixed(3)}`),
    filters: `[0:${stream.index}]${chain.join(',')}`,
    outputs: [
      { options: splitArguments(`-map [poster] -c:v mjpeg -q:v 4 ${once}`), url: folder.url(POSTER) },
      { options: splitArguments(`-map [preview] -c:v pam ${once}`), url: folder.url(PREVIEW) },
    ],
  })
}

const fixed = ({ width, height }: Size): string => `scale=${width}:${height}`

/** Only the decoder reads the orientation of an image, so its size is not known before. */
const withinBox = (pixels: number): string =>
  `scale=w='min(${pixels},iw)':h='min(${pixels},ih)':force_original_aspect_ratio=decrease`

async function read(folder: PrivateFolder, size: Size): Promise<Pictures> {
  const drawn = await folder.read(PREVIEW)
  if (!drawn) throw new CannotPackage('ffmpeg could draw nothing of the file')
  const { width, height, rgba } = readPam(drawn)
  const hash = rgbaToThumbHash(width, height, rgba)
  const poster = await folder.read(POSTER)
  // As drawn: turned, if the decoder found an orientation.
  const isTurned = (width - height) * (size.width - size.height) < 0
  const [across, down] = isTurned ? [size.height, size.width] : [size.width, size.height]
  return {
    preview: { thumbHash: toBase64Url(hash), width: Math.round(across), height: Math.round(down) },
    poster: poster && poster.byteLength > 0 && poster.byteLength <= POSTER_BYTES ? poster : null,
  }
}

interface RgbaImage {
  /** Pixels. */
  readonly width: number
  readonly height: number
  readonly rgba: Uint8Array<ArrayBuffer>
}

const END_OF_PAM_HEADER = 'ENDHDR\n'
const MAX_PAM_HEADER_BYTES = 512

/**
 * A portable arbitrary map of four channels: lines of a name and a value, then pixels.
 * @throws CannotPackage when it is anything else
 */
function readPam(bytes: Uint8Array<ArrayBuffer>): RgbaImage {
  const head = new TextDecoder('latin1').decode(bytes.subarray(0, MAX_PAM_HEADER_BYTES))
  const valueOf = (name: string): number => Number(new RegExp(`^${name} (\\d{1,6})$`, 'm').exec(head)?.[1] ?? 0)
  const [width, height] = [valueOf('WIDTH'), valueOf('HEIGHT')]
  const rgba = bytes.subarray(head.indexOf(END_OF_PAM_HEADER) + END_OF_PAM_HEADER.length)
  if (width < 1 || height < 1 || valueOf('DEPTH') !== 4 || rgba.byteLength !== width * height * 4)
    throw new CannotPackage('ffmpeg drew a preview that cannot be read')
  return { width, height, rgba }
}

const SIGNATURE_BYTES = 16

/**
 * The demuxer for an image, chosen by its first bytes and never by its name: the demuxer that goes by names takes `%d`
 * in a name for a list of files.
 * @returns `null` when it is no image of a known format
 */
export async function imageFormat(source: FileSource): Promise<string | null> {
  await using file = await source.openFile()
  const { buffer, bytesRead } = await file.read(Buffer.alloc(SIGNATURE_BYTES), 0, SIGNATURE_BYTES, 0)
  const head = buffer.subarray(0, bytesRead).toString('latin1')
  return SIGNATURES.find(([, at, signature]) => head.startsWith(signature, at))?.[0] ?? null
}

/** Demuxer, offset, bytes. */
const SIGNATURES = [
  ['jpeg_pipe', 0, '\xff\xd8\xff'],
  ['png_pipe', 0, '\x89PNG\r\n\x1a\n'],
  ['gif', 0, 'GIF87a'],
  ['gif', 0, 'GIF89a'],
  ['webp_pipe', 8, 'WEBP'],
  ['bmp_pipe', 0, 'BM'],
] as const
