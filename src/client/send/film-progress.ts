import type { FilmDescription } from '../manifest/film-readers.ts'
import { trackMediaOf } from '../manifest/manifest.ts'
import type { ManifestItem, SealedMedia } from '../manifest/manifest.ts'
import type { OutgoingFilm, TrackProgress } from '../api/outgoing-film.ts'
import type { Begun } from './outgoing-media.ts'

/** What of a film has been sent so far. */
export class FilmProgress {
  readonly #film: OutgoingFilm
  readonly #tracks: TrackProgress[]
  #ownBytes = 0

  constructor(film: OutgoingFilm) {
    this.#film = film
    this.#tracks = film.tracks.map(() => ({ media: null, readableBytes: 0 }))
  }

  trackBegun(track: number, { media, key, commit, chunkBytes }: Begun): void {
    this.#set(track, { media: { state: 'sending', media, key, commit, chunkBytes } })
  }

  trackReadable(track: number, readableBytes: number): void {
    this.#set(track, { readableBytes })
  }

  trackSent(track: number, sealed: SealedMedia): void {
    this.#set(track, { media: { ...sealed, state: 'complete' }, readableBytes: sealed.bytes })
  }

  ownReadable(readableBytes: number): void {
    this.#ownBytes = readableBytes
  }

  /** The fields that the film adds to `item` in the manifest now. */
  describe(item: ManifestItem): FilmFields {
    const readableBytes = item.state === 'complete' ? item.bytes : this.#ownBytes
    const video = this.#film.describe({ media: trackMediaOf(item), readableBytes }, this.#tracks)
    const original = this.#original()
    return { ...(video && { video }), ...(original && { original }) }
  }

  /** In the manifest from the first version on, so that receivers do not take the item's own bytes for the file. */
  #original(): FilmFields['original'] {
    const { original } = this.#film
    const runs = original && this.#tracks[original.runs]?.media
    return original && { bytes: original.bytes, ...(runs?.state === 'complete' && { runs }) }
  }

  #set(track: number, change: Partial<TrackProgress>): void {
    const before = this.#tracks[track]
    if (before) this.#tracks[track] = { ...before, ...change }
  }
}

/** The fields of an item in the manifest that describe its film. */
export interface FilmFields {
  readonly video?: FilmDescription
  readonly original?: { readonly bytes: number; readonly runs?: SealedMedia }
}
