import { MPEG_TS } from 'mediabunny'
import type { Input } from 'mediabunny'

import type { CopiedVideo } from './input-track.ts'

/**
 * Whether the packets of a film can be found in its file. In a transport stream they lie cut up; H.264 and H.265 without
 * a decoder configuration come in start-code form, and get lengths when they are copied. Where the pictures are left out,
 * most of the file is not in the film anyway.
 */
export async function keepsSamples(
  input: Pick<Input, 'getFormat' | 'getPrimaryVideoTrack'>,
  video: Pick<CopiedVideo, 'codec' | 'config'> | null,
): Promise<boolean> {
  if ((await input.getFormat()) === MPEG_TS) return false
  if (!video) return (await input.getPrimaryVideoTrack()) === null
  return !['avc', 'hevc'].includes(video.codec) || video.config.description !== undefined
}
