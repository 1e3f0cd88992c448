import { SealiftError } from '../../../protocol/errors.ts'
import type { SlotRequest } from '../limiter.ts'

export function shuttingDown(): SealiftError {
  return new SealiftError('shutting_down', 'The server is stopping; try again in a few seconds')
}

export function refusal({ direction, cap }: SlotRequest, retryAfterSeconds: number): SealiftError {
  const [code, limit] =
    direction === 'upload'
      ? (['too_many_uploads', 'concurrentUploads'] as const)
      : (['too_many_downloads', 'concurrentDownloads'] as const)
  const message = `At most ${cap} ${direction}s at once; wait for one to end or try again later`
  return new SealiftError(code, message, { context: { limit, value: cap, remaining: 0, retryAfterSeconds } })
}

export function lostSlot(): SealiftError {
  return new SealiftError(
    'unavailable',
    'This node was away for too long and lost the slot of this transfer; try again',
    {
      context: { retryAfterSeconds: 1 },
    },
  )
}
