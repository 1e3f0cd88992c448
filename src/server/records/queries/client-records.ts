import { SealiftError } from '../../../protocol/errors.ts'
import { type Db, type RecordDatabase, prepared } from './database.ts'
import { lockUsage, NO_USAGE, toUsage, type UsageRow } from './quota-usage.ts'
import type { ClientId, ClientRecords } from '../record-store.ts'

interface SeenDevice {
  readonly clientId: ClientId
  readonly deviceId: string
  readonly cap: number
  readonly now: number
  readonly forgetBefore: number
}

export function createClientRecords(database: RecordDatabase): ClientRecords {
  const { read } = database
  const usageOf = prepared<UsageRow>(read, () =>
    read
      .selectFrom('client_usage')
      .select(['stored_bytes', 'stored_rows', 'reserved_bytes', 'pending_uploads'])
      .where('client_id', '=', ''),
  )
  return {
    async usage(clientId) {
      const [row] = await usageOf(clientId)
      return row ? toUsage(row) : NO_USAGE
    },
    // oxlint-disable-next-line eslint/max-params -- the port's signature
    noteDevice: (clientId, deviceId, cap, now, forgetBefore) =>
      database.write(db => noteDevice(db, { clientId, deviceId, cap, now, forgetBefore })),
    countDevices: (clientId, forgetBefore) => countDevices(read, clientId, forgetBefore),
  }
}

async function noteDevice(db: Db, device: SeenDevice): Promise<void> {
  const { clientId, deviceId, cap, now, forgetBefore } = device
  // Two new devices of one client at once must count one after the other.
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
