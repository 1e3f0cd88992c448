/** Messages between a packager and its thread. */
import type { KnownFile } from '../../client/node/files/file-source.ts'
import { SealiftError } from '../../protocol/errors.ts'
import type { SealiftErrorCode } from '../../protocol/errors.ts'
import { CannotPackage } from '../packager.ts'
import type { PackagedFilm, PackagedTrack, Segment } from '../packager.ts'

/** Sent once, first. */
export interface ThreadTask {
  readonly file: KnownFile
  /** As in `PackageOptions`. */
  readonly leavesAudio: boolean
}

/** To the thread: its task, then pulls of one chunk of a track at a time. */
export type ThreadCall = { readonly task: ThreadTask } | { readonly pull: number } | { readonly cancel: true }

export type PostedTrack = Omit<PackagedTrack, 'bytes' | 'layout'>

/** What was added to the layout of a track since the last message about it. */
export interface LayoutUpdate {
  readonly track: number
  readonly init: readonly [number, number] | null
  readonly segments: readonly Segment[]
}

/** From the thread. */
export type ThreadMessage =
  /** Its event loop is not blocked. */
  | { readonly kind: 'alive' }
  | { readonly kind: 'film'; readonly film: PostedFilm }
  | { readonly kind: 'progress'; readonly seconds: number }
  | (LayoutUpdate & { readonly kind: 'chunk'; readonly bytes: Uint8Array<ArrayBuffer> })
  | (LayoutUpdate & { readonly kind: 'end' })
  | { readonly kind: 'failed'; readonly error: SentError }

export type PostedFilm = Omit<PackagedFilm, 'renditions' | 'audio' | 'subtitles' | 'storyboard'> & {
  readonly renditions: readonly PostedTrack[]
  readonly audio: readonly PostedTrack[]
}

/** An error, sent so that the other side can restore its class. */
export type SentError =
  | { readonly kind: 'unfit'; readonly message: string }
  | { readonly kind: 'sealift'; readonly code: SealiftErrorCode; readonly message: string; readonly path?: string }
  | { readonly kind: 'other'; readonly message: string }

export function sentError(error: unknown): SentError {
  if (error instanceof CannotPackage) return { kind: 'unfit', message: error.message }
  if (!(error instanceof SealiftError)) return { kind: 'other', message: String(error) }
  const { code, message, context } = error
  const path = context['path']
  return { kind: 'sealift', code, message, ...(typeof path === 'string' && { path }) }
}

export function receivedError(error: SentError): Error {
  if (error.kind === 'unfit') return new CannotPackage(error.message)
  if (error.kind === 'other') return new Error(error.message)
  const context = error.path === undefined ? {} : { path: error.path }
  return new SealiftError(error.code, error.message, { context })
}
