import { SealiftError } from '../../../protocol/errors.ts'
import { abandonable, type Db, type RecordDatabase, prepared } from './transactions.ts'
import { lockUsage, NO_USAGE, toUsage, type UsageRow } from './quota-usage.ts'
import type { ClientRecords } from '../record-store.ts'
import type { ClientId, SeenDevice } from '../record-types.ts'

export function createClientRecords(database: RecordDatabase): ClientRecords {
  const { read } = database
  const usageOf = prepared<UsageRow>(read, () =>
    read
      .selectFrom('client_usage')
      .select(['stored_bytes', 'stored_rows', 'reserved_bytes', 'pending_uploads'])
      .where('client_id', '=', ''),
  )
  return {
    async usage(clientId, signal) {
      const [row] = await abandonable(usageOf(clientId), signal)
      return row ? toUsage(row) : NO_USAGE
    },
    noteDevice: (device, signal) => database.write(db => noteDevice(db, device), signal),
    countDevices: (clientId, forgetBefore, signal) => abandonable(countDevices(read, clientId, forgetBefore), signal),
  }
}

async function noteDevice(db: Db, device: SeenDevice): Promise<void> {
  const { clientId, deviceId, cap, now, forgetBefore } = device
  // Two concurrent new devices of one client are counted one after the other.
  await lockUsage(db, clientId)
  const known = await db
    .selectFrom('devices')
    .select('seen_at')
    .where('client_id', '=', clientId)
    .where('device_id', '=', deviceId)
    .executeTakeFirst()
  const counted = known !== undefined && known.seen_at >= forgetBefore
  if (!counted && (await countDevices(db, clientId, forgetBefore)) >= cap) throw tooMany(cap)
  await db
    .insertInto('devices')
    .values({ client_id: clientId, device_id: deviceId, seen_at: now })
    .onConflict(conflict => conflict.columns(['client_id', 'device_id']).doUpdateSet({ seen_at: now }))
    .execute()
}

function tooMany(cap: number): SealiftError {
  return new SealiftError('too_many_devices', `This account may use ${cap} devices: sign one out first`, {
    context: { limit: 'devices', value: cap, remaining: 0 },
  })
}

async function countDevices(db: Db, clientId: ClientId, forgetBefore: number): Promise<number> {
  const row = await db
    .selectFrom('devices')
    .select(eb => eb.fn.countAll<number>().as('count'))
    .where('client_id', '=', clientId)
    .where('seen_at', '>=', forgetBefore)
    .executeTakeFirstOrThrow()
  return row.count
}
