/**
 * A little room kept aside on the disk of the records. A database needs room even to delete, so without it a disk that
 * others filled to the last byte could never be freed through the service again.
 *
 * What a crash leaves: the file, whole or short; the next start writes it anew.
 */
import { open, rm, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

import { makeFolder } from '../../../files/make-folder.ts'
import { isSealiftError } from '../../../protocol/errors.ts'
import type { RecordStore } from '../record-store.ts'

const RESERVE_BYTES = 8 * 2 ** 20
const RESTORE_EVERY_MS = 10_000

/** The methods that give room back. Each is one transaction, so one that failed can be done again. */
const FREEING = [
  'abortUpload',
  'endLease',
  'endParcel',
  'endExpiredLeases',
  'endExpiredParcels',
  'abortExpiredUploads',
  'purgeBlob',
  'releasePresignedCharge',
  'purgeEnded',
] as const satisfies readonly (keyof RecordStore)[]

/** Room that can be given up in need. Disposing it stops the attempts to take it back. */
export interface SpaceReserve extends Disposable {
  /** Gives the room up; true when there was any. It is taken back as soon as the disk allows. */
  release(): Promise<boolean>
}

/** Takes the room now, if the disk has it. */
export async function openSpaceReserve(file: string, reserveBytes = RESERVE_BYTES): Promise<SpaceReserve> {
  await takeRoom(file, reserveBytes)
  const timer = setInterval(() => void takeRoom(file, reserveBytes), RESTORE_EVERY_MS)
  timer.unref()
  return {
    release: () => giveUpRoom(file),
    [Symbol.dispose]: () => clearInterval(timer),
  }
}

async function takeRoom(file: string, reserveBytes: number): Promise<void> {
  if ((await sizeOf(file)) >= reserveBytes) return
  try {
    await makeFolder(dirname(file))
    await using handle = await open(file, 'w', 0o600)
    await handle.writeFile(Buffer.alloc(reserveBytes))
  } catch {
    // No room now: what little was written goes back, and the next attempt comes by itself.
    await rm(file, { force: true }).catch(() => undefined)
  }
}

async function giveUpRoom(file: string): Promise<boolean> {
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

/** The same store; whatever frees room and finds the disk full is done once more with the reserve given up. */
export function withSpaceReserve<Records extends RecordStore>(records: Records, reserve: SpaceReserve): Records {
  const retried = FREEING.map(method => [method, retryOnce(records, method, reserve)])
  return { ...records, ...(Object.fromEntries(retried) as Pick<RecordStore, (typeof FREEING)[number]>) }
}

function retryOnce(records: RecordStore, method: (typeof FREEING)[number], reserve: SpaceReserve) {
  const call = records[method] as (...args: readonly unknown[]) => Promise<unknown>
  return async (...args: readonly unknown[]): Promise<unknown> => {
    try {
      return await call(...args)
    } catch (error) {
      if (!isSealiftError(error, 'storage_full') || !(await reserve.release())) throw error
      return call(...args)
    }
  }
}
