/** What every record store must do: the port's comments, as tests. Each dialect's test file runs it. */
import { afterAll, beforeAll, beforeEach, describe } from 'vitest'

import type { RecordStore } from '../../src/server/records/record-store.ts'
import { abortContract } from './records/abort-contract.ts'
import { chargingContract } from './records/charging-contract.ts'
import { clientsContract } from './records/clients-contract.ts'
import { downloadsContract } from './records/downloads-contract.ts'
import { forwardsContract } from './records/forwards-contract.ts'
import { leasesContract } from './records/leases-contract.ts'
import { namedLocksContract } from './records/named-locks-contract.ts'
import { parcelsContract } from './records/parcels-contract.ts'
import { partsContract } from './records/parts-contract.ts'
import { presignedContract } from './records/presigned-contract.ts'
import { rowsContract } from './records/rows-contract.ts'
import { upkeepContract } from './records/upkeep-contract.ts'
import { uploadsContract } from './records/uploads-contract.ts'

export interface OpenedRecords extends AsyncDisposable {
  readonly records: RecordStore
  /** Empties every table, for the next test. */
  clear(): Promise<void>
}

/** Gives the store of the running test. */
export type Records = () => RecordStore

/** `open` gives a migrated store with nothing in it. */
export function recordStoreContract(name: string, open: () => Promise<OpenedRecords>): void {
  describe(`${name}: the contract of a record store`, () => {
    let opened: OpenedRecords
    const records: Records = () => opened.records

    beforeAll(async () => {
      opened = await open()
    })
    beforeEach(async () => {
      await opened.clear()
    })
    afterAll(async () => {
      await opened[Symbol.asyncDispose]()
    })

    uploadsContract(records)
    partsContract(records)
    leasesContract(records)
    downloadsContract(records)
    forwardsContract(records)
    parcelsContract(records)
    clientsContract(records)
    upkeepContract(records)
    presignedContract(records)
    chargingContract(records)
    rowsContract(records)
    namedLocksContract(records)
    abortContract(records)
  })
}
