/** How far a send or a receive has come. All bytes are plaintext bytes of whole or unfinished items, padding left out. */
export interface Progress {
  readonly bytes: number
  /** `null` while an item of unknown length is among them. */
  readonly totalBytes: number | null
  readonly itemsDone: number
  readonly items: number
  /** Mean of the last seconds; 0 before anything moved. */
  readonly bytesPerSecond: number
  /** `null` when it cannot be told. */
  readonly secondsLeft: number | null
  /** The items that are moving now, in the order they began. */
  readonly active: readonly ItemProgress[]
}

/** How far one item has come. */
export interface ItemProgress {
  /** Position in the list that was given (send) or in the manifest (receive). */
  readonly index: number
  readonly name: string
  readonly bytes: number
  readonly totalBytes: number | null
}
