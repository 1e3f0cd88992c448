/**
 * SHA-256 of bytes that are in memory as a whole. WebCrypto does it beside the main thread, in browsers and in Node,
 * so that it costs a sender no time while parts travel.
 */
export async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}
