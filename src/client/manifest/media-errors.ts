import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import { isSealingError } from '../../sealing/index.ts'

/** The same message for every failed check, which must not be revealed. */
export function damagedMedia(): SealiftError {
  return new SealiftError('damaged_media', 'This item was altered in transit, or is not what its sender described')
}

/**
 * What a failure means for the receiver of an item.
 * @param sending whether the item was still being sent
 */
export function receiveError(error: unknown, sending: boolean): unknown {
  if (isSealingError(error, 'damaged', 'invalid_argument')) return damagedMedia()
  // The server's media is shorter than the manifest says.
  if (isSealiftError(error, 'range_not_satisfiable')) return damagedMedia()
  if (sending && isSealiftError(error, 'gone')) {
    return new SealiftError('sender_gone', 'The sender stopped before everything was sent', { cause: error })
  }
  return error
}
