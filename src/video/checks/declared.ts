/** What a file declares, read from its headers before anything is decoded. */

/** One line of an edit list (ISO/IEC 14496-12, 8.6.6). */
export interface Edit {
  /** 0: up to the end of the track. */
  readonly seconds: number
  /** Where in the track it begins; `null`: nothing is shown during the edit. */
  readonly mediaSeconds: number | null
  /** 1 for the usual speed. */
  readonly rate: number
}

export interface DeclaredTrack {
  readonly kind: 'video' | 'audio'
  /** The container's own number of the track, which demuxers give as its id. */
  readonly id: number
  /** As the container writes it, such as `avc1` or `V_MPEG4/ISO/AVC`. */
  readonly codec: string
  /** Samples (frames, for video) in the file's index; `null`: the container does not count them. */
  readonly samples: number | null
  readonly edits: readonly Edit[]
  /** Of the track's own clock, and of the clock that durations in `edits` count by. */
  readonly tickSeconds: number
  readonly editTickSeconds: number
  /** Whether blocks of the track are compressed or encrypted by the container. */
  readonly isEncoded: boolean
}

export interface DeclaredFilm {
  readonly tracks: readonly DeclaredTrack[]
  /** When its last track ends; `null`: not declared, or not by video and audio alone. */
  readonly endSeconds: number | null
  /** The file has samples in its index and movie fragments behind it. */
  readonly isSplit: boolean
  /** Samples by track id, those of movie fragments included: reads all of the file's fragments. `null`: not counted. */
  countSamples(): Promise<ReadonlyMap<number, number> | null>
}

/** A cover or another still image, which is no video. */
export function isStill({ codec, samples }: DeclaredTrack): boolean {
  return samples === 1 && /^(jpeg|mjpa|mjpb|mjpg|png |gif )$/.test(codec)
}
