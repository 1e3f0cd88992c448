import type { SealiftError } from '../../protocol/errors.ts'
import { translateFileError } from './file-errors.ts'
import type { OpenFile } from './file-system.ts'

/**
 * The open file of a blob that takes parts, shared by all parts on their way.
 *
 * One sync serves every part that waited for it: with many parts in flight the disk syncs once per round, not once per
 * part. A sync that fails poisons the file for good: the kernel has dropped the unwritten pages and would call the next
 * sync a success, so nothing about this file can be promised any more.
 */
export class BlobWriter {
  readonly #file: OpenFile
  #running: Promise<void> | null = null
  #next: Promise<void> | null = null
  #poison: SealiftError | null = null

  constructor(file: OpenFile) {
    this.#file = file
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
    }
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
