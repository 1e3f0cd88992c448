/** The worker thread of manifest-thread.ts. */
import { parentPort } from 'node:worker_threads'

import { toWireError } from '../problems.ts'
import { decodeManifest, type DecodedManifest, type ManifestRoute } from './manifest-json.ts'

export interface DecodeCall {
  readonly id: number
  readonly route: ManifestRoute
  readonly body: Uint8Array<ArrayBuffer>
}

export type DecodeResult = { readonly id: number } & (
  { readonly decoded: DecodedManifest } | { readonly errorMessage: string }
)

function serve(): void {
  const port = parentPort
  if (!port) throw new Error('This file runs in a worker thread only')
  port.on('message', (call: DecodeCall) => {
    const result = decode(call)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    port.postMessage(result, 'decoded' in result ? [result.decoded.manifest.buffer] : [])
  })
}

function decode({ id, route, body }: DecodeCall): DecodeResult {
  try {
    return { id, decoded: decodeManifest(body, route) }
  } catch (error) {
    return { id, errorMessage: toWireError(error).message }
  }
}

serve()
