import { SealiftError } from '../../../protocol/errors.ts'
import { isId } from '../../../protocol/ids.ts'
import { claimOf, type Caller } from '../../access/caller.ts'
import type { Clock } from '../../clock.ts'
import type { MediaRecords } from '../../records/record-store.ts'

/** Ends the caller's own lease; the bytes go with the last lease of them. @throws not_found also when it is another's */
export async function endLease(
  { records, clock }: { readonly records: MediaRecords; readonly clock: Clock },
  caller: Caller,
  mediaId: string,
): Promise<void> {
  if (!isId(mediaId)) throw new SealiftError('not_found', 'There is no such media of yours')
  await records.endLease(mediaId, claimOf(caller), clock())
}
