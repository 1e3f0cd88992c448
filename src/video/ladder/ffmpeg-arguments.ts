/** The command line of ffmpeg for a plan. */
import {
  MAX_FRAMES_PER_SECOND,
  type AudioPlan,
  type HdrMethod,
  type LadderPlan,
  type VideoPlan,
} from './ladder-plan.ts'
import type { Rung } from './rungs.ts'
import { splitArguments } from './run-program.ts'

const SEGMENT_SECONDS = 4
/** Of an audio track. */
export const AUDIO_BITS_PER_SECOND = 128_000
/** Clock of video, the same in all rungs. */
const TICKS_PER_SECOND = 90_000

/**
 * One chain up to the split, so that all rungs get the same frames at the same times, and hence the same borders.
 * ffmpeg itself applies the rotation before.
 */
export function videoFilters({ stream, rungs, isInterlaced, hdr }: VideoPlan): string {
  const shared = [
    ...(isInterlaced ? ['yadif=mode=send_frame'] : []),
    // Drops frames that come too fast and changes no time of the others; no frame is repeated in a gap.
    `select='isnan(prev_selected_t)+gte(t-prev_selected_t,1/${MAX_FRAMES_PER_SECOND + 1})'`,
    `settb=1/${TICKS_PER_SECOND}`,
    ...(hdr && rungs[0] ? [scale(rungs[0]), ...toneMapping(hdr)] : []),
    `split=${rungs.length}`,
  ]
  const head = `[0:${stream}]${shared.join(',')}${rungs.map((_, index) => `[s${index}]`).join('')}`
  const chains = rungs.map((rung, index) => `[s${index}]${scale(rung)}:out_range=tv,setsar=1,format=yuv420p[v${index}]`)
  return [head, ...chains].join(';')
}

const scale = ({ width, height }: Rung): string => `scale=${width}:${height}`

/** PQ or HLG in BT.2020 to BT.709. Slow: scale the frames down before. */
export function toneMapping(method: HdrMethod): string[] {
  if (method === 'convert') return ['format=yuv420p']
  return [
    'zscale=t=linear:npl=100',
    'format=gbrpf32le',
    'zscale=p=bt709',
    'tonemap=tonemap=hable:desat=0',
    'zscale=t=bt709:m=bt709:r=tv',
    'format=yuv420p',
  ]
}

/** A rung, which holds the audio if there is one track of it. */
export function rungOptions(plan: LadderPlan, index: number, rung: Rung): string[] {
  const [audio] = plan.audio.length === 1 ? plan.audio : []
  return [
    ...splitArguments(`-map [v${index}]`),
    ...(audio ? ['-map', `0:${audio.stream}`] : []),
    ...splitArguments('-fps_mode vfr -c:v libx264 -preset veryfast -profile:v high'),
    ...splitArguments(`-level:v ${(rung.level / 10).toFixed(1)} -crf 23`),
    ...splitArguments(`-maxrate ${rung.maxRate} -bufsize ${2 * rung.maxRate}`),
    // Borders depend on time alone: a scene change makes no key frame.
    ...splitArguments(
      `-force_key_frames expr:if(isnan(prev_forced_t),1,gte(t,prev_forced_t+${SEGMENT_SECONDS - 0.001}))`,
    ),
    ...splitArguments(`-sc_threshold 0 -g 100000 -video_track_timescale ${TICKS_PER_SECOND}`),
    ...(plan.video?.hdr ? ['-color_primaries', 'bt709', '-color_trc', 'bt709', '-colorspace', 'bt709'] : []),
    ...(audio ? audioCodec(audio) : []),
    ...fragmented('frag_keyframe'),
  ]
}

/** Audio in a track of its own. @param shiftSeconds added to its times */
export function audioOptions(audio: AudioPlan, shiftSeconds = 0): string[] {
  return [
    ...splitArguments(`-map 0:${audio.stream}`),
    ...audioCodec(audio, shiftSeconds),
    ...splitArguments(`-frag_duration ${SEGMENT_SECONDS * 1_000_000}`),
    ...fragmented(),
  ]
}

function audioCodec({ channels }: AudioPlan, shiftSeconds = 0): string[] {
  const shift = shiftSeconds === 0 ? '' : `asetpts=PTS+(${shiftSeconds.toFixed(6)})/TB,`
  return [
    ...splitArguments(`-c:a aac -b:a ${AUDIO_BITS_PER_SECOND} -ac ${channels} -ar 48000`),
    // Silence in gaps keeps audio and video in step.
    ...splitArguments(`-af ${shift}aresample=async=1:first_pts=0`),
  ]
}

/** One file from front to back. `delay_moov`: the head is written once the start of video and audio is known. */
function fragmented(...flags: readonly string[]): string[] {
  const all = [...flags, 'empty_moov', 'default_base_moof', 'delay_moov', 'skip_trailer']
  return [
    // Names, locations and dates of the source stay private; the manifest holds what receivers need.
    ...splitArguments('-map_metadata -1 -map_chapters -1 -dn -sn'),
    ...splitArguments(`-max_muxing_queue_size 1024 -movflags +${all.join('+')} -f mp4`),
  ]
}
