import { HEADER } from '../../protocol/headers.ts'
import { routePath } from '../../protocol/routes.ts'
import pLimit from 'p-limit'

import type { Server, ServerRequest } from '../wire/http.ts'
import type { ItemJournal } from './send-journal.ts'

/** Longest time that a failed send spends on cleaning up: the server does it too, later, by itself. */
const DEADLINE_MS = 5000
const PARALLEL = 16

export interface Undoing {
  readonly owner: string
  readonly parcelId: string | null
  readonly items: Iterable<Pick<ItemJournal, 'upload' | 'stored'>>
}

/** Takes what was sent back from the server, as far as it can be reached: once each, without repeats. Never rejects. */
export async function undo(server: Server, { owner, parcelId, items }: Undoing): Promise<void> {
  const signal = AbortSignal.timeout(DEADLINE_MS)
  const headers = { [HEADER.owner]: owner }
  const remove = async (path: string): Promise<boolean> => {
    const request: ServerRequest = { method: 'DELETE', path, headers, signal }
    const done = server.attempt(request).then(response => response.discard())
    return done.then(
      () => true,
      () => false,
    )
  }
  const limit = pLimit(PARALLEL)
  await Promise.all(Array.from(items, item => limit(() => removeMedia(item, remove))))
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
