import { SealiftError } from '../../protocol/errors.ts'
import { isId } from '../../protocol/ids.ts'
import type { Caller } from '../caller.ts'
import type { UploadRecord, UploadRecords } from '../records/record-store.ts'

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

function mayUse(upload: UploadRecord, { client }: Caller): boolean {
  return upload.clientId.startsWith(ANONYMOUS_PREFIX) || (!client.anonymous && upload.clientId === client.clientId)
}
