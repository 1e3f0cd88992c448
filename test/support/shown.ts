/** What a player shows of a film, as ffprobe sees it. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

export interface Shown {
  /** Times of the frames in seconds, in the order of presentation. `null`: there is no video. */
  readonly frames: readonly number[] | null
  /** From the first sample to the end of the last one, in seconds; a track each. */
  readonly audio: readonly (readonly [from: number, to: number])[]
}

/** Decodes all of it, edit lists applied; covers are no frames. */
export async function shown(path: string): Promise<Shown> {
  const entries =
    'stream=index,codec_type:stream_disposition=attached_pic:frame=stream_index,pts_time,pkt_duration_time,nb_samples'
  const options = ['-v', 'error', '-show_streams', '-show_frames', '-show_entries', entries, '-of', 'json']
  const { stdout } = await run('ffprobe', [...options, path], { maxBuffer: 64 * 1024 * 1024 })
  const { streams, frames } = JSON.parse(stdout) as Probed
  const timesOf = (index: number) =>
    frames.filter(frame => frame.stream_index === index && frame.pts_time !== undefined)
  const video = streams.find(each => each.codec_type === 'video' && each.disposition.attached_pic === 0)
  return {
    frames: video
      ? timesOf(video.index)
          .map(({ pts_time }) => Number(pts_time))
          .toSorted((a, b) => a - b)
      : null,
    audio: streams
      .filter(({ codec_type }) => codec_type === 'audio')
      .map(({ index }) => timesOf(index).map(timeOf))
      // Too short for its decoder to give anything out.
      .filter(times => times.length > 0)
      .map(times => [Math.min(...times.map(([at]) => at)), Math.max(...times.map(([, end]) => end))] as const),
  }
}

interface Probed {
  readonly streams: readonly {
    readonly index: number
    readonly codec_type: string
    readonly disposition: { readonly attached_pic: number }
  }[]
  readonly frames: readonly {
    readonly stream_index: number
    readonly pts_time?: string
    readonly pkt_duration_time?: string
  }[]
}

const timeOf = ({ pts_time, pkt_duration_time }: Probed['frames'][number]): readonly [number, number] => [
  Number(pts_time),
  Number(pts_time) + Number(pkt_duration_time ?? 0),
]

/** Times count from the beginning of the film, which is its first frame or sample. */
export function fromBeginning({ frames, audio }: Shown): Shown {
  const beginning = Math.min(frames?.[0] ?? Infinity, ...audio.map(([from]) => from))
  return {
    frames: frames?.map(time => time - beginning) ?? null,
    audio: audio.map(([from, to]) => [from - beginning, to - beginning] as const),
  }
}
