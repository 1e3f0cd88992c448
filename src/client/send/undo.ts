import pLimit from 'p-limit'

import { isSealiftError } from '../../protocol/errors.ts'
import { HEADER } from '../../protocol/headers.ts'
import { routePath } from '../../protocol/paths.ts'
import { isPassing } from '../wire/retrier.ts'
import type { Server, ServerRequest } from '../wire/http.ts'
import type { ItemJournal } from './send-journal.ts'

/** Longest time that a failed send spends on cleaning up: the server does it too, later, by itself. */
const DEADLINE_MS = 5000
/** More of it for each thing that was sent: servers limit the rate of requests. */
const DEADLINE_PER_ITEM_MS = 20
const PARALLEL = 16
const MAX_ATTEMPTS = 3
const PAUSE_MS = 200

export interface Undoing {
  readonly owner: string
  readonly parcelId: string | null
  readonly items: Iterable<Pick<ItemJournal, 'upload' | 'stored'>>
}

/**
 * Deletes from the server what was sent, as far as the server can be reached. Retries only when the server responds
 * that it is busy: a failed send does not wait for a network. Never rejects.
 */
export async function undo(server: Server, { owner, parcelId, items }: Undoing): Promise<void> {
  const given = Array.from(items)
  const signal = AbortSignal.timeout(DEADLINE_MS + DEADLINE_PER_ITEM_MS * given.length)
  const headers = { [HEADER.owner]: owner }
  const remove = async (path: string): Promise<boolean> => {
    const request: ServerRequest = { method: 'DELETE', path, headers, signal }
    for (let attempt = 1; ; attempt += 1) {
      try {
        await (await server.attempt(request)).discard()
        return true
      } catch (error) {
        const isBusy = isPassing(error) && !isSealiftError(error, 'network') && !signal.aborted
        if (!isBusy || attempt === MAX_ATTEMPTS) return false
        await pause(PAUSE_MS * attempt)
      }
    }
  }
  const limit = pLimit(PARALLEL)
  await Promise.all(given.map(item => limit(() => removeMedia(item, remove))))
  if (parcelId !== null) await remove(routePath('endParcel', { parcelId }))
}

async function removeMedia(
  { upload, stored }: Pick<ItemJournal, 'upload' | 'stored'>,
  remove: (path: string) => Promise<boolean>,
): Promise<void> {
  if (upload && !stored && (await remove(routePath('abortUpload', { uploadId: upload.uploadId })))) return
  const mediaId = stored?.media ?? upload?.mediaId
  if (mediaId !== undefined) await remove(routePath('endLease', { mediaId }))
}

const pause = (ms: number): Promise<void> => new Promise(resolve => void setTimeout(resolve, ms))
