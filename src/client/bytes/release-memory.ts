/**
 * Gives the memory of a buffer back at once. The garbage collector would do it later, and much more often than it need
 * be: it sees gigabytes of short-lived buffers pass. Only for bytes that nobody else holds; views of a part of a
 * buffer are left alone.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (!(buffer instanceof ArrayBuffer) || bytes.byteLength !== buffer.byteLength) return
  // Browsers before 2024 lack it, and collect.
  if ('transfer' in buffer) buffer.transfer(0)
}
