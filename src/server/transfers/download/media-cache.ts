import type { MarksChanges, MediaRecord, CachesMedia, RecordStore } from '../../records/record-store.ts'

/**
 * Where changes carry no mark, this bounds what another process can change unnoticed: fsck while the server runs, which
 * ends media whose bytes are missing. With many small media, lookups are what they cost most, unless each is asked for several times within this.
 */
const REMEMBER_MS = 10_000
const MAX_REMEMBERED = 10_000

interface Remembered {
  readonly media: MediaRecord
  readonly untilMs: number
}

/**
 * Remembers for a moment the records of media that are asked for again and again: thumbnails, and the ranges of a film.
 * Only of complete media whose downloads are not counted: of these nothing can change but that their lease ends, and
 * every way to end one by name passes here. (Expiry is in the record.) Where other processes write to the same database,
 * `changeMark` must tell: then nothing is recalled that was looked up before the latest change, anybody's.
 */
export function cacheMedia(
  records: RecordStore,
  { changeMark = () => 0, now = () => performance.now() }: Partial<MarksChanges> & { readonly now?: () => number } = {},
): RecordStore & CachesMedia {
  const memory = new MediaMemory(changeMark, now)
  return {
    ...records,
    cachedMedia: mediaId => memory.recall(mediaId),
    findMedia: mediaId => memory.find(mediaId, () => records.findMedia(mediaId)),
    endLease: (mediaId, claim, at) => memory.forgetting(() => records.endLease(mediaId, claim, at), mediaId),
    endParcel: (parcelId, claim, at) => memory.forgetting(() => records.endParcel(parcelId, claim, at)),
    endExpiredParcels: (at, batch) => memory.forgetting(() => records.endExpiredParcels(at, batch)),
  }
}

class MediaMemory {
  readonly #changeMark: () => number
  readonly #now: () => number
  readonly #remembered = new Map<string, Remembered>()
  /** Of all that is remembered. */
  #mark = 0
  /** Grows with each change: what was asked for before it is not remembered after it. */
  #changes = 0

  constructor(changeMark: () => number, now: () => number) {
    this.#changeMark = changeMark
    this.#now = now
  }

  recall(mediaId: string): MediaRecord | null {
    this.#forgetWhenChanged()
    const known = this.#remembered.get(mediaId)
    return known && known.untilMs > this.#now() ? known.media : null
  }

  async find(mediaId: string, ask: () => Promise<MediaRecord | null>): Promise<MediaRecord | null> {
    const known = this.recall(mediaId)
    if (known) return known
    const changesBefore = this.#changes
    const media = await ask()
    if (media && isSteady(media) && this.#changes === changesBefore) this.#remember(media)
    else this.#remembered.delete(mediaId)
    return media
  }

  /** All of it, or the one media named, is forgotten once `change` is done, and so before anyone is told that it is. */
  async forgetting<T>(change: () => Promise<T>, mediaId?: string): Promise<T> {
    try {
      return await change()
    } finally {
      this.#changes += 1
      if (mediaId === undefined) this.#remembered.clear()
      else this.#remembered.delete(mediaId)
    }
  }

  #forgetWhenChanged(): void {
    const mark = this.#changeMark()
    if (mark === this.#mark) return
    this.#mark = mark
    this.#changes += 1
    this.#remembered.clear()
  }

  #remember(media: MediaRecord): void {
    this.#remembered.delete(media.mediaId)
    if (this.#remembered.size >= MAX_REMEMBERED) {
      const [oldest] = this.#remembered.keys()
      if (oldest !== undefined) this.#remembered.delete(oldest)
    }
    this.#remembered.set(media.mediaId, { media, untilMs: this.#now() + REMEMBER_MS })
  }
}

function isSteady({ state, maxDownloads, endedAt }: MediaRecord): boolean {
  return state === 'complete' && maxDownloads === null && endedAt === null
}
