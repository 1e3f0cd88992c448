/** Films to measure with, made by ffmpeg from its test source: pictures that move and are noisy, and a tone. */
import { rename, rm, stat } from 'node:fs/promises'

import type { BenchContext } from '../context.ts'
import { run } from '../processes.ts'
import { findTool, missingTools } from '../tools.ts'

export interface Clip {
  readonly path: string
  readonly size: `${number}x${number}`
  readonly seconds: number
  /** Of the pictures. */
  readonly kilobitsPerSecond: number
}

const FRAMES_PER_SECOND = 25
const KEY_FRAME_SECONDS = 2

export const missingFfmpeg = (): Promise<string | null> => missingTools('ffmpeg')

/** H.264 with two B-frames and AAC, as MP4; key frames every two seconds. */
export async function makeClip({ path, size, seconds, kilobitsPerSecond }: Clip, context: BenchContext): Promise<void> {
  const pictures = `testsrc2=size=${size}:rate=${FRAMES_PER_SECOND}:duration=${seconds},noise=alls=12:allf=t`
  const tone = `sine=frequency=440:sample_rate=48000:duration=${seconds}`
  const rate = `${kilobitsPerSecond}k`
  const coded = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-pix_fmt', 'yuv420p', '-c:a', 'aac']
  const even = ['-b:v', rate, '-maxrate', rate, '-bufsize', rate, '-sc_threshold', '0']
  const keys = ['-g', String(FRAMES_PER_SECOND * KEY_FRAME_SECONDS)]
  const inputs = ['-f', 'lavfi', '-i', pictures, '-f', 'lavfi', '-i', tone]
  await ffmpeg([...inputs, ...coded, ...even, ...keys, '-b:a', '128k', path], context)
}

/** The same clip repeated to this duration without encoding it again, as a file for a web server. */
export async function repeatClip(
  clip: string,
  { path, seconds }: Pick<Clip, 'path' | 'seconds'>,
  context: BenchContext,
): Promise<void> {
  const again = ['-stream_loop', '-1', '-i', clip, '-t', String(seconds), '-c', 'copy', '-movflags', '+faststart']
  await ffmpeg([...again, path], context)
}

/** A film of about so many bytes. */
export async function growClip(
  { path, seconds }: Pick<Clip, 'path' | 'seconds'>,
  sizeBytes: number,
  context: BenchContext,
): Promise<void> {
  const { size } = await stat(path)
  const grown = `${path}.grown.mp4`
  await repeatClip(path, { path: grown, seconds: Math.round((seconds * sizeBytes) / size) }, context)
  await rm(path)
  await rename(grown, path)
}

async function ffmpeg(args: readonly string[], { signal }: BenchContext): Promise<void> {
  const command = (await findTool('ffmpeg')) ?? 'ffmpeg'
  await run({ command, args: ['-nostdin', '-hide_banner', '-v', 'error', '-y', ...args], signal })
}
