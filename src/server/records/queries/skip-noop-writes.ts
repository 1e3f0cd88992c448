import { RecordStoreDecorator } from '../record-methods.ts'
import type { RecordStore } from '../record-store.ts'
import type { PartRecord, QuotaCaps, SeenDevice, SizedPart } from '../record-types.ts'
import { abandonable, type Db } from './transactions.ts'
import { checkDeclaredPart } from './upload-parts.ts'

/** A device noted this recently is not noted again: most requests write nothing. */
const DEVICE_NOTE_EVERY_MS = 5 * 60_000

/** Skips changes that most requests ask for and that seldom change anything: a read decides whether one is needed. */
export class SkipNoopWrites extends RecordStoreDecorator {
  readonly #store: RecordStore
  readonly #read: Db

  constructor(store: RecordStore, read: Db) {
    super(store)
    this.#store = store
    this.#read = read
  }

  /** A part of an upload of declared size reserves nothing, so it is only checked. */
  override async reservePart(
    uploadId: string,
    part: SizedPart,
    caps: QuotaCaps,
    signal?: AbortSignal,
  ): Promise<PartRecord | null> {
    const upload = await this.#store.findUpload(uploadId, signal)
    return upload === null || upload.declaredBytes === null
      ? this.#store.reservePart(uploadId, part, caps, signal)
      : abandonable(checkDeclaredPart(this.#read, upload, part), signal)
  }

  override async noteDevice(device: SeenDevice, signal?: AbortSignal): Promise<void> {
    if (!(await abandonable(this.#isNoted(device), signal))) await this.#store.noteDevice(device, signal)
  }

  async #isNoted({ clientId, deviceId, now, forgetBefore }: SeenDevice): Promise<boolean> {
    const known = await this.#read
      .selectFrom('devices')
      .select('seen_at')
      .where('client_id', '=', clientId)
      .where('device_id', '=', deviceId)
      .executeTakeFirst()
    return known !== undefined && known.seen_at > now - DEVICE_NOTE_EVERY_MS && known.seen_at >= forgetBefore
  }
}
