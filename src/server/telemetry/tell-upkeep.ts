import { SealiftError } from '../../protocol/errors.ts'
import type { UpkeepEvents } from '../upkeep/upkeep-events.ts'
import type { Events } from './events.ts'

/** What the sweeper tells, as events of the server. */
export function tellUpkeep(events: Events): UpkeepEvents {
  return {
    swept: (report, durationMs) => events.sweepDone(report, durationMs),
    failed: (_task, error) => events.sweepFailed(error, 0),
    bytesMissing: ({ blobId, expectedBytes, storedBytes }) =>
      events.failing(
        `blob ${blobId}`,
        new SealiftError('damaged', `Of ${expectedBytes} bytes ${storedBytes ?? 0} are stored: run \`sealift fsck\``),
      ),
    // Counted in the sweep's own report.
    orphanDeleted: () => undefined,
    orphansSuspicious: ({ orphans, blobs }) =>
      events.failing(
        'records',
        new SealiftError('damaged', `${orphans} of ${blobs} stored media have no record; none was deleted: look first`),
      ),
  }
}
