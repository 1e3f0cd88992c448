import type { ParcelRecords } from '../records/record-store.ts'
import type { ParcelRecord } from '../records/record-types.ts'

/** Bytes of idle manifests that stay cached for the next reader. */
const CACHE_BYTES = 16 * 2 ** 20

/** The manifest of one version, shared by all its readers. Dispose it when it is sent. */
export interface HeldManifest extends Disposable {
  readonly bytes: Uint8Array
}

interface Entry {
  readonly key: string
  readonly loading: Promise<Uint8Array | null>
  /** `null` while it is read from the records, or when it is not there. */
  bytes: Uint8Array | null
  readers: number
}

/**
 * Manifests as they are sent: each version is read from the records once for all who ask for it at the same time, and
 * held in memory once. What a version holds never changes, so nothing here goes stale; whether the parcel is alive is
 * asked of the records first.
 */
export class StoredManifests {
  readonly #records: Pick<ParcelRecords, 'readManifest'>
  readonly #cacheBytes: number
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>()
  #idleBytes = 0

  constructor(records: Pick<ParcelRecords, 'readManifest'>, cacheBytes = CACHE_BYTES) {
    this.#records = records
    this.#cacheBytes = cacheBytes
  }

  /** Bytes of cached manifests without a reader. */
  get idleBytes(): number {
    return this.#idleBytes
  }

  /** `null` when this version was replaced since, or the parcel has ended. @throws unavailable */
  async open({ parcelId, version }: Pick<ParcelRecord, 'parcelId' | 'version'>): Promise<HeldManifest | null> {
    const entry = this.#enter(parcelId, version)
    try {
      const bytes = await entry.loading
      if (bytes === null) {
        this.#leave(entry)
        return null
      }
      entry.bytes = bytes
      return this.#hold(entry, bytes)
    } catch (error) {
      this.#leave(entry)
      throw error
    }
  }

  #enter(parcelId: string, version: number): Entry {
    const key = `${parcelId} ${version}`
    const known = this.#entries.get(key)
    const entry = known ?? { key, loading: this.#records.readManifest(parcelId, version), bytes: null, readers: 0 }
    if (known?.bytes && known.readers === 0) this.#idleBytes -= known.bytes.length
    entry.readers += 1
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry
  }

  #hold(entry: Entry, bytes: Uint8Array): HeldManifest {
    let held = true
    return {
      bytes,
      [Symbol.dispose]: () => {
        if (held) this.#leave(entry)
        held = false
      },
    }
  }

  #leave(entry: Entry): void {
    entry.readers -= 1
    if (entry.readers > 0) return
    if (entry.bytes === null) return void this.#entries.delete(entry.key)
    this.#idleBytes += entry.bytes.length
    this.#evict()
  }

  #evict(): void {
    for (const [key, { bytes, readers }] of this.#entries) {
      if (this.#idleBytes <= this.#cacheBytes) return
      if (readers > 0 || bytes === null) continue
      this.#entries.delete(key)
      this.#idleBytes -= bytes.length
    }
  }
}
