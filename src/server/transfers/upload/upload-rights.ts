import { SealiftError } from '../../../protocol/errors.ts'
import { isId } from '../../../protocol/ids.ts'
import type { Caller } from '../../access/caller.ts'
import type { UploadRecord, UploadRecords } from '../../records/record-store.ts'

/** Clients of open mode are addresses; they may change between two requests, so the secret upload id is the right. */
const ANONYMOUS_PREFIX = 'address:'

/**
 * The upload, if this caller may use it: its id is secret, and one begun with a token also takes that client's token.
 * Absent and another's answer alike.
 * @throws not_found
 */
export async function findOwnUpload(records: UploadRecords, uploadId: string, caller: Caller): Promise<UploadRecord> {
  const upload = isId(uploadId) ? await records.findUpload(uploadId) : null
  if (!upload || !mayUse(upload, caller)) {
    throw new SealiftError('not_found', 'There is no such upload, or it was given up; begin a new one')
  }
  return upload
}

/** The same, unless it was given up. @throws not_found, gone */
export async function findLiveUpload(records: UploadRecords, uploadId: string, caller: Caller): Promise<UploadRecord> {
  const upload = await findOwnUpload(records, uploadId, caller)
  if (upload.state !== 'aborted') return upload
  throw new SealiftError('gone', 'This upload was given up or has expired; begin a new one')
}

function mayUse(upload: UploadRecord, { client }: Caller): boolean {
  return upload.clientId.startsWith(ANONYMOUS_PREFIX) || (!client.anonymous && upload.clientId === client.clientId)
}
