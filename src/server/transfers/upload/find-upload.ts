import { SealiftError } from '../../../protocol/errors.ts'
import { isId } from '../../../protocol/ids.ts'
import type { Caller } from '../../access/caller.ts'
import type { UploadRecords } from '../../records/record-store.ts'
import type { UploadRecord, PartRecord } from '../../records/record-types.ts'
import type { PartRuns, TransferMode, UploadStatus } from '../../../protocol/schemas.ts'

/**
 * A client of open mode is an IP address, which may change between requests: the secret upload id is its credential.
 */
const ANONYMOUS_PREFIX = 'address:'

/**
 * The upload, if this caller may use it: its id is secret, and an upload begun with a token also needs that client's
 * token. An absent and a foreign upload give the same error.
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

export interface UploadStatusParts {
  readonly records: UploadRecords
  readonly transferMode: () => TransferMode
}

/** Which parts are durable, so that an interrupted sender sends only the others. @throws not_found, gone */
export async function describeUpload(
  { records, transferMode }: UploadStatusParts,
  uploadId: string,
  caller: Caller,
): Promise<UploadStatus> {
  const upload = await findLiveUpload(records, uploadId, caller)
  const parts = (await records.listParts(upload.blobId)).filter(part => part.durable)
  const sizeBytes = upload.sizeBytes ?? upload.declaredBytes
  return {
    uploadId: upload.uploadId,
    mediaId: upload.mediaId,
    state: upload.state === 'complete' ? 'complete' : 'uploading',
    partBytes: upload.partBytes,
    parts: runsOf(parts),
    durableBytes: parts.reduce((sum, part) => sum + part.sizeBytes, 0),
    ...(sizeBytes === null ? {} : { sizeBytes }),
    expiresAt: new Date(upload.expiresAt).toISOString(),
    transfer: transferMode(),
  }
}

/** `0 1 2 5` as `[[0, 2], [5, 5]]`. `parts` are ascending. */
export function runsOf(parts: readonly Pick<PartRecord, 'index'>[]): PartRuns {
  const runs: PartRuns = []
  for (const { index } of parts) {
    const last = runs.at(-1)
    if (last && last[1] === index - 1) last[1] = index
    else runs.push([index, index])
  }
  return runs
}
