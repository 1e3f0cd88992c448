import { BoundedMap } from '../../../common/bounded-map.ts'
import type { MarksChanges, CachesMedia, RecordStore } from '../../records/record-store.ts'
import type { MediaRecord } from '../../records/record-types.ts'

/**
 * Without a change mark, this bounds how long a change by another process goes unnoticed: `fsck` beside the server ends
 * media items without bytes. Long enough that repeated reads of a small blob skip the lookup.
 */
const CACHE_MS = 10_000
const CACHED_MEDIA = 10_000

interface CachedRecord {
  readonly media: MediaRecord
  readonly untilMs: number
}

/**
 * Caches for 10 s the records of media items that are read repeatedly: thumbnails, ranges of a film. Only of complete
 * media items without a download count: nothing of these changes but the end of their lease, and each method that ends
 * one by name is wrapped here. (Expiry is in the record.) If other processes write to the same database, `changeMark`
 * must differ after each of their changes: then the cache is cleared.
 */
export function cacheMedia(
  records: RecordStore,
  { changeMark = () => 0, now = () => performance.now() }: Partial<MarksChanges> & { readonly now?: () => number } = {},
): RecordStore & CachesMedia {
  const memory = new MediaMemory(changeMark, now)
  return {
    ...records,
    cachedMedia: mediaId => memory.recall(mediaId),
    findMedia: (mediaId, signal) => memory.find(mediaId, () => records.findMedia(mediaId, signal)),
    endLease: (mediaId, proof, at, signal) =>
      memory.forgetting(() => records.endLease(mediaId, proof, at, signal), mediaId),
    endParcel: (parcelId, proof, at, signal) => memory.forgetting(() => records.endParcel(parcelId, proof, at, signal)),
    endExpiredParcels: (at, batch, signal) => memory.forgetting(() => records.endExpiredParcels(at, batch, signal)),
  }
}

class MediaMemory {
  readonly #changeMark: () => number
  readonly #now: () => number
  readonly #cached = new BoundedMap<string, CachedRecord>(CACHED_MEDIA)
  /** The change mark of all entries. */
  #mark = 0
  /** Grows with each change: a record read before a change is not cached after it. */
  #changes = 0

  constructor(changeMark: () => number, now: () => number) {
    this.#changeMark = changeMark
    this.#now = now
  }

  recall(mediaId: string): MediaRecord | null {
    this.#dropIfChanged()
    const known = this.#cached.get(mediaId)
    return known && known.untilMs > this.#now() ? known.media : null
  }

  async find(mediaId: string, ask: () => Promise<MediaRecord | null>): Promise<MediaRecord | null> {
    const known = this.recall(mediaId)
    if (known) return known
    const changesBefore = this.#changes
    const media = await ask()
    if (media && isSteady(media) && this.#changes === changesBefore)
      this.#cached.set(media.mediaId, { media, untilMs: this.#now() + CACHE_MS })
    else this.#cached.delete(mediaId)
    return media
  }

  /** Drops all entries, or the one of `mediaId`, after `change`, before the caller sees its result. */
  async forgetting<T>(change: () => Promise<T>, mediaId?: string): Promise<T> {
    try {
      return await change()
    } finally {
      this.#changes += 1
      if (mediaId === undefined) this.#cached.clear()
      else this.#cached.delete(mediaId)
    }
  }

  #dropIfChanged(): void {
    const mark = this.#changeMark()
    if (mark === this.#mark) return
    this.#mark = mark
    this.#changes += 1
    this.#cached.clear()
  }
}

function isSteady({ state, maxDownloads, endedAt }: MediaRecord): boolean {
  return state === 'complete' && maxDownloads === null && endedAt === null
}
