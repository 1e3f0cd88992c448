import { abortReason } from '../../client/concurrency/abort.ts'
import { BrokenBoxes } from '../mp4/boxes.ts'
import { CannotPackage } from '../packager.ts'
import { FfmpegFailed } from './run-ffmpeg.ts'

/** What to tell when a run of ffmpeg did not end well. */
export function fromFailedRun(error: unknown, outer: AbortSignal): unknown {
  if (outer.aborted) return abortReason(outer)
  if (error instanceof FfmpegFailed) {
    return new CannotPackage('ffmpeg could not read the file to its end, or not within its limits', { cause: error })
  }
  return error
}

/** What ffmpeg wrote cannot be followed: that is no fault of the reader. */
export function fromBrokenBoxes(error: unknown): unknown {
  if (!(error instanceof BrokenBoxes)) return error
  return new CannotPackage('What ffmpeg made of the file is damaged', { cause: error })
}
