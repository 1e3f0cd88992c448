import { isSealiftError } from '../../protocol/errors.ts'
import type { SealiftErrorCode } from '../../protocol/errors.ts'

/**
 * Why something does not play:
 * - `expired`: it has ended, was deleted, or may not be fetched any more
 * - `damaged`: its bytes are not those that were sealed; nothing of them was shown
 * - `sender_gone`: the sender stopped before everything was sent; what came can still be watched
 * - `not_playable`: no film, or one that this browser cannot play; it can be downloaded
 * - `failed`: anything else; `cause` tells
 */
export type PlayerErrorCode = 'expired' | 'damaged' | 'sender_gone' | 'not_playable' | 'failed'

/** What a player tells when something does not play. `message` is for people; `code` is stable. */
export class PlayerError extends Error {
  override readonly name = 'PlayerError'
  readonly code: PlayerErrorCode
  /** False: only subtitles or a preview picture are missing, and the film goes on. */
  readonly fatal: boolean

  constructor(code: PlayerErrorCode, message: string, options: { cause?: unknown; fatal?: boolean } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.fatal = options.fatal ?? true
  }
}

const MESSAGES: Readonly<Record<PlayerErrorCode, string>> = {
  expired: 'This is not there any more: it has expired or was deleted',
  damaged: 'This was altered on its way or in storage, and is not shown',
  sender_gone: 'The sender stopped before everything was sent',
  not_playable: 'This cannot be played here; it can be downloaded',
  failed: 'This could not be played',
}

const CODES: Partial<Record<SealiftErrorCode, PlayerErrorCode>> = {
  gone: 'expired',
  not_found: 'expired',
  downloads_exhausted: 'expired',
  unauthorized: 'expired',
  forbidden: 'expired',
  damaged_media: 'damaged',
  damaged: 'damaged',
  invalid_manifest: 'damaged',
  sender_gone: 'sender_gone',
}

/** Any failure, as what it means to whoever watches. */
export function toPlayerError(error: unknown, { fatal = true }: { fatal?: boolean } = {}): PlayerError {
  if (error instanceof PlayerError) return error
  const code = (isSealiftError(error) ? CODES[error.code] : undefined) ?? 'failed'
  return new PlayerError(code, MESSAGES[code], { cause: error, fatal })
}
