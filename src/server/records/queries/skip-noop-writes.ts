/** Changes that most requests ask for and that seldom change anything: a question tells whether one is needed. */
import type { Db } from './database.ts'
import type { ClientRecords, RecordStore } from '../record-store.ts'
import { checkDeclaredPart } from './upload-parts.ts'

/** A device that was noted this recently needs no new note: most requests write nothing. */
const DEVICE_NOTE_EVERY_MS = 5 * 60_000

type Sparing = Pick<RecordStore, 'reservePart' | 'noteDevice'>

/** `store`'s own methods, asked only when `read` does not answer. */
export function sparingWrites(store: Sparing & Pick<RecordStore, 'findUpload'>, read: Db): Sparing {
  return {
    async reservePart(uploadId, part, caps) {
      const upload = await store.findUpload(uploadId)
      const asksOnly = upload !== null && upload.declaredBytes !== null
      return asksOnly ? checkDeclaredPart(read, upload, part) : store.reservePart(uploadId, part, caps)
    },
    noteDevice: noteDevicesSeldom(read, store.noteDevice),
  }
}

function noteDevicesSeldom(read: Db, note: ClientRecords['noteDevice']): ClientRecords['noteDevice'] {
  // oxlint-disable-next-line eslint/max-params -- the port's signature
  return async (clientId, deviceId, cap, now, forgetBefore) => {
    const known = await read
      .selectFrom('devices')
      .select('seen_at')
      .where('client_id', '=', clientId)
      .where('device_id', '=', deviceId)
      .executeTakeFirst()
    const notedLately = known && known.seen_at > now - DEVICE_NOTE_EVERY_MS && known.seen_at >= forgetBefore
    if (!notedLately) await note(clientId, deviceId, cap, now, forgetBefore)
  }
}
