export function concat(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, { byteLength }) => sum + byteLength, 0))
  pieces.reduce((at, piece) => (all.set(piece, at), at + piece.byteLength), 0)
  return all
}
