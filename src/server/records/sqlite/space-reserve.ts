/**
 * A file that reserves disk space beside the records. A database needs free space even to delete, so without the
 * reserve a disk that another program filled to the last byte could not be freed through the service.
 *
 * A crash leaves the file, complete or short; the next start writes it again.
 */
import { open, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

import { makeFolder } from '../../../files/make-folder.ts'
import { isSealiftError } from '../../../protocol/errors.ts'
import { type AnyCall, RECORD_METHODS, RecordStoreDecorator } from '../record-methods.ts'
import type { SqliteRecordStore } from './index.ts'

const RESERVE_BYTES = 8 * 2 ** 20
const RESTORE_EVERY_MS = 10_000

/** Disposing it stops the attempts to restore the reserve. */
export interface SpaceReserve extends Disposable {
  /** Frees the reserved space; true when there was any. It is restored as soon as the disk allows. */
  release(): Promise<boolean>
}

/** Reserves the space now, if the disk has it. */
export async function openSpaceReserve(file: string, reserveBytes = RESERVE_BYTES): Promise<SpaceReserve> {
  await reserveSpace(file, reserveBytes)
  const timer = setInterval(() => void reserveSpace(file, reserveBytes), RESTORE_EVERY_MS)
  timer.unref()
  return {
    release: () => releaseSpace(file),
    [Symbol.dispose]: () => clearInterval(timer),
  }
}

async function reserveSpace(file: string, reserveBytes: number): Promise<void> {
  if ((await sizeOf(file)) >= reserveBytes) return
  try {
    await makeFolder(dirname(file))
    await using handle = await open(file, 'w', 0o600)
    await handle.writeFile(Buffer.alloc(reserveBytes))
  } catch {
    // The disk is full: the short file is deleted, and the timer tries again.
    await rm(file, { force: true }).catch(() => undefined)
  }
}

async function releaseSpace(file: string): Promise<boolean> {
  const bytes = await sizeOf(file)
  await rm(file, { force: true })
  return bytes > 0
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => 0,
  )
}

/** Repeats a call that frees disk space, once, with the reserve released, when the disk is full. */
export class SpaceReserveRecords extends RecordStoreDecorator implements SqliteRecordStore {
  readonly changeMark: () => number
  readonly freeSpace: SqliteRecordStore['freeSpace']

  constructor(records: SqliteRecordStore, reserve: SpaceReserve) {
    super(records, (method, call) => (RECORD_METHODS[method] === 'frees' ? retryOnce(call, reserve) : call))
    this.changeMark = records.changeMark
    this.freeSpace = () => records.freeSpace()
  }
}

/** Each such method is one transaction, so a failed call can be repeated. */
function retryOnce(call: AnyCall, reserve: SpaceReserve): AnyCall {
  return async (...args) => {
    try {
      return await call(...args)
    } catch (error) {
      if (!isSealiftError(error, 'storage_full') || !(await reserve.release())) throw error
      return call(...args)
    }
  }
}
