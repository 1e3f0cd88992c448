/**
 * Gives the memory of a buffer back at once. The garbage collector would do it later, and much more often than it need
 * be: it sees gigabytes of short-lived buffers pass. Only for bytes that nobody else holds; views of a part of a
 * buffer are left alone.
 */
export function release(bytes: Uint8Array<ArrayBuffer>): void {
  // Browsers before 2024 lack it, and collect.
  if (bytes.byteLength === bytes.buffer.byteLength && 'transfer' in bytes.buffer) bytes.buffer.transfer(0)
}
