/** Bytes `start` (inclusive) to `end` (exclusive) of one part. */
export interface Piece {
  readonly part: number
  readonly start: number
  readonly end: number
  /** Where it begins in the media. */
  readonly at: number
}

/** The pieces of a range of a media, in order. */
export function piecesOf(range: { readonly start: number; readonly end: number }, partBytes: number): Piece[] {
  const pieces: Piece[] = []
  for (let at = range.start; at < range.end;) {
    const part = Math.floor(at / partBytes)
    const partStart = part * partBytes
    const end = Math.min(range.end, partStart + partBytes)
    pieces.push({ part, start: at - partStart, end: end - partStart, at })
    at = end
  }
  return pieces
}
