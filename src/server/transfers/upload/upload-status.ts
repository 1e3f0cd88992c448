import type { PartRuns, TransferMode, UploadStatus } from '../../../protocol/schemas.ts'
import type { Caller } from '../../access/caller.ts'
import type { PartRecord, UploadRecords } from '../../records/record-store.ts'
import { findLiveUpload } from './upload-rights.ts'

export interface UploadStatusParts {
  readonly records: UploadRecords
  readonly transferMode: () => TransferMode
}

/** Which parts are durable, so that an interrupted sender sends only the others. @throws not_found, gone */
export async function uploadStatus(
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
