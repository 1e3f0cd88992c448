import { abortReason, throwIfAborted } from '../../client/abort.ts'
import {
  CannotPackage,
  type FilmInput,
  type PackagedFilm,
  type PackagedTrack,
  type PackageOptions,
  type Packager,
} from '../packager.ts'
import type { Ffmpeg } from './find-ffmpeg.ts'
import { FILM_FORMATS } from './input-options.ts'
import { AUDIO_BITS_PER_SECOND, audioOptions, rungOptions, videoFilters } from './ladder-arguments.ts'
import { LadderRun, type TrackJob } from './ladder-run.ts'
import { DEFAULT_LIMITS, type LadderLimits } from './limits.ts'
import type { AudioPlan } from './plan-audio.ts'
import { planLadder, type LadderPlan } from './plan.ts'
import { PrivateFolder } from './private-folder.ts'
import { probe } from './probe.ts'
import { codecOf } from './rungs.ts'
import { makeStoryboard } from './storyboard.ts'
import { extractSubtitles } from './subtitles.ts'
import type { Track } from './track.ts'

const LADDER_NICENESS = 5
const AUDIO_CODEC = 'mp4a.40.2'

/**
 * Packages films with ffmpeg: several qualities in H.264 and AAC, all cut at the same times. Reads the file at
 * `FilmInput.path`, in processes of their own that can open nothing else of use, reach no network and are killed when
 * they take too much of anything.
 */
export class LadderPackager implements Packager {
  readonly #ffmpeg: Ffmpeg
  readonly #limits: LadderLimits

  constructor(ffmpeg: Ffmpeg, limits: Partial<LadderLimits> = {}) {
    this.#ffmpeg = ffmpeg
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
  }

  async package(input: FilmInput, { signal, onProgress }: PackageOptions): Promise<PackagedFilm> {
    throwIfAborted(signal)
    if (input.path === undefined) throw new CannotPackage('ffmpeg needs a file on this machine')
    const folder = await PrivateFolder.around(input.path)
    const settings = { ffmpeg: this.#ffmpeg, folder, limits: this.#limits }
    const run = new LadderRun({ ...settings, outer: signal, ...(onProgress && { onProgress }) })
    try {
      const facts = await probe({ ...settings, formats: FILM_FORMATS, signal })
      const plan = planLadder(facts, { limits: this.#limits, canToneMap: this.#ffmpeg.canToneMap })
      const film = await begin(run, folder, plan)
      void run.disposeWhenDone()
      return film
    } catch (error) {
      await run.abandon(error)
      throw signal.aborted ? abortReason(signal) : error
    }
  }
}

/** Resolves once ffmpeg has made something of the film. */
async function begin(run: LadderRun, folder: PrivateFolder, plan: LadderPlan): Promise<PackagedFilm> {
  const { format, seconds, video, audio, notes } = plan
  const jobs = trackJobs(plan)
  const filters = video ? { filters: videoFilters(video) } : {}
  const tracks = await run.start({ format, seconds, niceness: LADDER_NICENESS, ...filters }, jobs)
  await firstOf(tracks)
  const rungs = video?.rungs.length ?? 0
  const renditions = tracks.slice(0, Math.max(1, rungs)).map((track, index) => describeRendition(plan, index, track))
  return {
    seconds,
    renditions,
    notes,
    audio: tracks.slice(renditions.length).map((track, index) => describeAudio(audio[index], track)),
    subtitles: extractSubtitles(run, folder, plan),
    storyboard: makeStoryboard(run, folder, plan),
  }
}

/** In the order of what is told of them: renditions, then sound. */
function trackJobs(plan: LadderPlan): TrackJob[] {
  const { video, audio } = plan
  const sounds = audio.map(each => ({ options: audioOptions(each), maxRate: 2 * AUDIO_BITS_PER_SECOND }))
  if (!video) return sounds
  const rungs = video.rungs.map((rung, index) => ({
    options: rungOptions(plan, index, rung),
    maxRate: rung.maxRate + AUDIO_BITS_PER_SECOND,
  }))
  return audio.length > 1 ? [...rungs, ...sounds] : rungs
}

/** One is enough: what comes of the others waits for whoever reads the first. */
async function firstOf(tracks: readonly Track[]): Promise<void> {
  try {
    await Promise.any(tracks.map(({ begun }) => begun))
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error
  }
}

function describeRendition(plan: LadderPlan, index: number, { bytes, layout }: Track): PackagedTrack {
  const { video, audio } = plan
  const rung = video?.rungs[index]
  if (!video || !rung) return describeAudio(audio[0], { bytes, layout })
  const { width, height } = rung
  const codecs = [codecOf(rung), ...(audio.length === 1 ? [AUDIO_CODEC] : [])].join(',')
  return { codecs, width, height, frameRate: video.framesPerSecond, bytes, layout }
}

function describeAudio(plan: AudioPlan | undefined, { bytes, layout }: Pick<Track, 'bytes' | 'layout'>): PackagedTrack {
  const { language, name, isDefault } = plan ?? {}
  return {
    codecs: AUDIO_CODEC,
    bytes,
    layout,
    ...(language !== undefined && { language }),
    ...(name !== undefined && { name }),
    ...(isDefault !== undefined && { isDefault }),
  }
}
