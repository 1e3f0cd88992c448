import { abortReason, throwIfAborted } from '../../client/concurrency/abort.ts'
import {
  CannotPackage,
  type FilmInput,
  type PackagedFilm,
  type PackagedTrack,
  type PackageOptions,
  type Packager,
  type Pictures,
  type UncopiedAudio,
} from '../packager.ts'
import { fileOf } from '../input-file.ts'
import { expectedOf } from './check-ladder.ts'
import { type FilmFacts, probeFile } from './probe.ts'
import { imageFormat, makePictures } from './poster-and-preview.ts'
import type { Ffmpeg } from './find-ffmpeg.ts'
import { FILM_FORMATS, DEFAULT_LIMITS, type LadderLimits } from './ladder-limits.ts'
import { AUDIO_BITS_PER_SECOND, audioOptions, rungOptions, videoFilters } from './ffmpeg-arguments.ts'
import { LadderRun, type TrackJob } from './ladder-run.ts'
import { planLadder, planOf, type AudioPlan, type LadderPlan } from './ladder-plan.ts'
import { PrivateFolder } from './private-folder.ts'
import { codecOf } from './rungs.ts'
import { makeStoryboard, extractSubtitles } from './ladder-extras.ts'
import type { LadderTrack } from './ladder-track.ts'

const LADDER_NICENESS = 5
const AUDIO_CODEC = 'mp4a.40.2'

/**
 * Packages films with ffmpeg: several qualities in H.264 and AAC, all cut at the same times. The processes read only
 * the file of the input, reach no network, and are killed when they exceed a limit.
 */
export class LadderPackager implements Packager {
  readonly #ffmpeg: Ffmpeg
  readonly #limits: LadderLimits

  constructor(ffmpeg: Ffmpeg, limits: Partial<LadderLimits> = {}) {
    this.#ffmpeg = ffmpeg
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
  }

  package(input: FilmInput, { signal, onProgress }: PackageOptions): Promise<PackagedFilm> {
    return this.#withRun(input, { signal, ...(onProgress && { onProgress }) }, async (run, folder) => {
      const facts = await this.#probe(folder, FILM_FORMATS, signal)
      const plan = planLadder(facts, { limits: this.#limits, canToneMap: this.#ffmpeg.canToneMap })
      return begin(run, folder, { plan, facts })
    })
  }

  /**
   * Encodes audio for a film whose other tracks are copied.
   * @returns a track for each of `audio`
   * @throws CannotPackage when there is no such audio that ffmpeg can read; the abort
   */
  encodeAudio(
    input: FilmInput,
    { audio, shiftSeconds }: NonNullable<PackagedFilm['uncopied']>,
    { signal }: Pick<PackageOptions, 'signal'>,
  ): Promise<PackagedTrack[]> {
    return this.#withRun(input, { signal }, async (run, folder) => {
      const facts = await this.#probe(folder, FILM_FORMATS, signal)
      const { format, seconds } = planOf(facts, this.#limits)
      const plans = audio.map(each => encodedPlan(facts, each))
      for (const plan of plans) assertNotEarly(facts, plan, shiftSeconds)
      const jobs = plans.map(plan => ({
        options: audioOptions(plan, shiftSeconds),
        maxRate: 2 * AUDIO_BITS_PER_SECOND,
        expected: expectedOf(facts, [plan.stream], shiftSeconds),
      }))
      const tracks = await run.start({ format, seconds, niceness: LADDER_NICENESS, options: ['-copyts'] }, jobs)
      await firstOutput(tracks)
      return tracks.map((track, index) => describeAudio(plans[index], track))
    })
  }

  /**
   * A poster and a preview of a film, a song or an image (JPEG, PNG, GIF, WebP, BMP); none for audio without a cover.
   * @throws CannotPackage when it is none of these; the abort
   */
  pictures(input: FilmInput, signal: AbortSignal): Promise<Pictures> {
    return this.#withRun(input, { signal }, async (run, folder) => {
      const tooLong = (): void => run.stop(new CannotPackage('It takes too long to draw a poster'))
      const timer = setTimeout(tooLong, this.#limits.picturesMs)
      try {
        const image = await imageFormat(folder.input)
        const facts = await this.#probe(folder, image === null ? FILM_FORMATS : [image], signal)
        const { canToneMap } = this.#ffmpeg
        const maxPixels = image === null ? this.#limits.pixels : this.#limits.imagePixels
        return await makePictures({ run, folder, facts, isImage: image !== null, canToneMap, maxPixels })
      } finally {
        clearTimeout(timer)
      }
    })
  }

  #probe(folder: PrivateFolder, formats: readonly string[], signal: AbortSignal): Promise<FilmFacts> {
    return probeFile({ ffmpeg: this.#ffmpeg, folder, limits: this.#limits, formats, signal })
  }

  /** Gives `work` a folder and a run. Both are disposed of when the last program of the run has ended. */
  async #withRun<T>(
    input: FilmInput,
    { signal, onProgress }: PackageOptions,
    work: (run: LadderRun, folder: PrivateFolder) => Promise<T>,
  ): Promise<T> {
    throwIfAborted(signal)
    const file = await fileOf(input)
    if (!file) throw new CannotPackage('ffmpeg needs a file on this machine')
    const folder = await PrivateFolder.around(file)
    const settings = { ffmpeg: this.#ffmpeg, folder, limits: this.#limits }
    const run = new LadderRun({ ...settings, outer: signal, ...(onProgress && { onProgress }) })
    try {
      const result = await work(run, folder)
      void run.disposeWhenDone()
      return result
    } catch (error) {
      await run.abandon(error)
      throw signal.aborted ? abortReason(signal) : error
    }
  }
}

/** Audio that begins earlier than this before the film would lose more than a frame. */
const EARLY_SECONDS = 0.05

/** @throws CannotPackage when audio would be cut off because it begins before the copied tracks */
function assertNotEarly({ streams }: FilmFacts, { stream }: AudioPlan, shiftSeconds: number): void {
  const begins = streams.find(({ index }) => index === stream)?.start_time
  if (begins !== undefined && begins + shiftSeconds < -EARLY_SECONDS)
    throw new CannotPackage('it begins before the tracks that are copied')
}

interface Planned {
  readonly plan: LadderPlan
  readonly facts: FilmFacts
}

/** Resolves with the first output of ffmpeg. */
async function begin(run: LadderRun, folder: PrivateFolder, { plan, facts }: Planned): Promise<PackagedFilm> {
  const { format, seconds, video, audio, notes } = plan
  const jobs = trackJobs({ plan, facts })
  const filters = video ? { filters: videoFilters(video) } : {}
  const tracks = await run.start({ format, seconds, niceness: LADDER_NICENESS, ...filters }, jobs)
  await firstOutput(tracks)
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

function encodedPlan({ streams }: FilmFacts, { position, ...labels }: UncopiedAudio): AudioPlan {
  const stream = streams.filter(each => each.codec_type === 'audio')[position]
  if (!stream || (stream.channels ?? 0) === 0) throw new CannotPackage('Its audio cannot be read by ffmpeg')
  const { language, name, isDefault = false } = labels
  return {
    stream: stream.index,
    channels: Math.min(2, stream.channels ?? 2),
    ...(language !== undefined && { language }),
    ...(name !== undefined && { name }),
    isDefault,
  }
}

/** In the order of their descriptions: renditions, then audio. */
function trackJobs({ plan, facts }: Planned): TrackJob[] {
  const { video, audio } = plan
  const audioJobs = audio.map(each => ({
    options: audioOptions(each),
    maxRate: 2 * AUDIO_BITS_PER_SECOND,
    expected: expectedOf(facts, [each.stream]),
  }))
  if (!video) return audioJobs
  const within = [video, ...(audio.length === 1 ? audio : [])].map(({ stream }) => stream)
  const rungs = video.rungs.map((rung, index) => ({
    options: rungOptions(plan, index, rung),
    maxRate: rung.maxRate + AUDIO_BITS_PER_SECOND,
    expected: expectedOf(facts, within),
  }))
  return audio.length > 1 ? [...rungs, ...audioJobs] : rungs
}

/** Resolves with the first output of any track: the others may be blocked until that track is read. */
async function firstOutput(tracks: readonly LadderTrack[]): Promise<void> {
  try {
    await Promise.any(tracks.map(({ begun }) => begun))
  } catch (error) {
    throw error instanceof AggregateError ? error.errors[0] : error
  }
}

function describeRendition(plan: LadderPlan, index: number, { bytes, layout }: LadderTrack): PackagedTrack {
  const { video, audio } = plan
  const rung = video?.rungs[index]
  if (!video || !rung) return describeAudio(audio[0], { bytes, layout })
  const { width, height } = rung
  const codecs = [codecOf(rung), ...(audio.length === 1 ? [AUDIO_CODEC] : [])].join(',')
  return { codecs, width, height, frameRate: video.framesPerSecond, bytes, layout }
}

function describeAudio(
  plan: AudioPlan | undefined,
  { bytes, layout }: Pick<LadderTrack, 'bytes' | 'layout'>,
): PackagedTrack {
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
