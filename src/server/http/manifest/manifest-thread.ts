/** Decodes large JSON bodies of manifests on a worker thread, one at a time, so that none blocks the event loop. */
import { Worker } from 'node:worker_threads'

import { SealiftError } from '../../../protocol/errors.ts'
import type { DecodedManifest, ManifestRoute } from './manifest-json.ts'
import type { DecodeCall, DecodeResult } from './manifest-worker.ts'

/** An idle thread ends after this time; it takes about 20 MB. */
const IDLE_MS = 10_000
/** A body of a few megabytes takes a tenth of this; a tier may allow larger ones. */
const LIMITS = { maxOldGenerationSizeMb: 512, maxYoungGenerationSizeMb: 8 }

/** Starts its thread with the first body. */
export class ManifestThread implements AsyncDisposable {
  readonly #waiting = new Map<number, PromiseWithResolvers<DecodedManifest>>()
  readonly #idleMs: number
  #worker: Worker | null = null
  #idle: NodeJS.Timeout | undefined
  #calls = 0

  constructor({ idleMs = IDLE_MS }: { readonly idleMs?: number } = {}) {
    this.#idleMs = idleMs
  }

  /** True while there is a thread. */
  get running(): boolean {
    return this.#worker !== null
  }

  /** @param body is transferred to the thread. @throws invalid_request; unavailable when the thread ended */
  decode(body: Uint8Array<ArrayBuffer>, route: ManifestRoute): Promise<DecodedManifest> {
    clearTimeout(this.#idle)
    this.#worker ??= this.#start()
    const id = ++this.#calls
    const waiting = Promise.withResolvers<DecodedManifest>()
    this.#waiting.set(id, waiting)
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    this.#worker.postMessage({ id, route, body } satisfies DecodeCall, [body.buffer])
    return waiting.promise
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#end()
  }

  #start(): Worker {
    const worker = new Worker(workerFile(), { resourceLimits: LIMITS })
    worker.unref()
    worker.on('message', (result: DecodeResult) => this.#settle(result))
    worker.on('error', error => this.#fail(worker, error))
    worker.on('exit', () => this.#fail(worker, undefined))
    return worker
  }

  #settle(result: DecodeResult): void {
    const waiting = this.#waiting.get(result.id)
    this.#waiting.delete(result.id)
    if ('decoded' in result) waiting?.resolve(result.decoded)
    else waiting?.reject(new SealiftError('invalid_request', result.errorMessage))
    if (this.#waiting.size > 0) return
    this.#idle = setTimeout(() => void this.#end(), this.#idleMs)
    this.#idle.unref()
  }

  async #end(): Promise<void> {
    clearTimeout(this.#idle)
    const worker = this.#worker
    if (!worker) return
    this.#fail(worker, undefined)
    await worker.terminate()
  }

  #fail(worker: Worker, cause: unknown): void {
    if (this.#worker !== worker) return
    this.#worker = null
    for (const { reject } of this.#waiting.values()) {
      reject(
        new SealiftError('unavailable', 'The thread that decodes manifests ended; send the request again', { cause }),
      )
    }
    this.#waiting.clear()
  }
}

/** Beside this file, as TypeScript or compiled. */
function workerFile(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./manifest-worker.${extension}`, import.meta.url)
}
