import type { SealiftError } from '../../../protocol/errors.ts'
import { translateFileError } from './file-errors.ts'
import type { OpenFile } from './file-system.ts'

/** So many bytes that no sync has covered yet are worth one ahead of time. */
const SYNC_AHEAD_BYTES = 4 * 1024 * 1024

/** Lets one sync ahead of time run at once, for all files of a store: a thread each is all that syncs may take. */
export class SyncsAhead {
  #running = false

  /** Runs `sync` unless one runs. */
  tryRun(sync: () => Promise<void>): void {
    if (this.#running) return
    this.#running = true
    // Who waits for these bytes learns of a failure: it poisons the file.
    void sync()
      .catch(() => undefined)
      .finally(() => (this.#running = false))
  }
}

/**
 * The open file of a blob that takes parts, shared by all parts on their way.
 *
 * One sync serves every part that waited for it: with many parts in flight the disk syncs once per round, not once per
 * part. A sync that fails poisons the file for good: the kernel has dropped the unwritten pages and would call the next
 * sync a success, so nothing about this file can be promised any more.
 *
 * While bytes arrive, what has arrived is synced already: the disk works while the network does, and the sync that a
 * part waits for has little left to do.
 */
export class BlobWriter {
  readonly #file: OpenFile
  readonly #ahead: SyncsAhead
  #unsyncedBytes = 0
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null
  #poison: SealiftError | null = null

  constructor(file: OpenFile, ahead: SyncsAhead) {
    this.#file = file
    this.#ahead = ahead
  }

  get poison(): SealiftError | null {
    return this.#poison
  }

  /** Writes all of `pieces`. @throws storage_full, unavailable */
  async write(pieces: readonly Uint8Array[], position: number): Promise<void> {
    let left = pieces
    let at = position
    while (left.length > 0) {
      this.#assertSound()
      const written = await this.#file.write(left, at).catch(fail)
      at += written
      left = dropBytes(left, written)
      this.#unsyncedBytes += written
    }
    if (this.#running === null && this.#unsyncedBytes >= SYNC_AHEAD_BYTES) this.#ahead.tryRun(() => this.sync())
  }

  /** Resolves when everything written before this call is durable. @throws storage_full, unavailable */
  sync(): Promise<void> {
    if (this.#running === null) return this.#startSync()
    this.#next ??= this.#running.then(() => this.#startSync())
    return this.#next
  }

  close(): Promise<void> {
    return this.#file.close().catch(fail)
  }

  #startSync(): Promise<void> {
    this.#next = null
    this.#unsyncedBytes = 0
    const running = this.#syncOnce().finally(() => {
      this.#running = null
    })
    this.#running = running
    return running
  }

  async #syncOnce(): Promise<void> {
    this.#assertSound()
    try {
      await this.#file.syncData()
    } catch (error) {
      this.#poison = translateFileError(error)
      throw this.#poison
    }
  }

  #assertSound(): void {
    if (this.#poison) throw this.#poison
  }
}

function fail(error: unknown): never {
  throw translateFileError(error)
}

function dropBytes(pieces: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let index = 0
  let left = count
  for (let piece = pieces[0]; piece && piece.length <= left; piece = pieces[index]) {
    left -= piece.length
    index += 1
  }
  const [first, ...rest] = pieces.slice(index)
  return first ? [first.subarray(left), ...rest] : []
}
