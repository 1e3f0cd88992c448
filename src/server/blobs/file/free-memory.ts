/**
 * Gives the memory of a piece back at once. The garbage collector would do it too, at half of the cost of a transfer: it
 * would look at everything that lives for the sake of each few megabytes. Views of a part of a buffer are left alone.
 * Nobody may use the piece any more, the system included: only for what has been read, or written with an answer.
 */
export function freeMemory({ buffer, byteLength }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0)
}
