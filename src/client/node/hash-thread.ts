/** Hashes on its own thread while the main thread seals and sends: half of the work of sending is SHA-256. */
import { Worker } from 'node:worker_threads'

import type { Bytes } from '../../sealing/index.ts'
import type { PartHash, PartHashing } from '../send/part-hashing.ts'

type Waiting = PromiseWithResolvers<HashResult['digest']>

/** Starts with the first hash, and keeps the process alive only while a result is awaited. */
export class HashThread implements PartHashing, AsyncDisposable {
  readonly #otherwise: PartHashing
  #thread: Promise<Thread | null> | null = null

  /** @param otherwise hashes where no thread can be had, as in a bundle that left the worker's file out */
  constructor(otherwise: PartHashing) {
    this.#otherwise = otherwise
  }

  /** Shared with the thread. Node's own reads, ciphers and sockets make no difference between that and other memory. */
  allocate(bytes: number): Bytes {
    // The type keeps shared memory away from WebCrypto and `fetch`, neither of which is used with this.
    return new Uint8Array(new SharedArrayBuffer(bytes)) as Uint8Array as Bytes
  }

  async start(): Promise<PartHash> {
    return (await this.#started())?.hash() ?? this.#otherwise.start()
  }

  async md5(part: Bytes): Promise<Uint8Array> {
    const thread = await this.#started()
    return thread ? thread.md5(part) : this.#otherwise.md5(part)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await (await this.#thread)?.end()
  }

  #started(): Promise<Thread | null> {
    this.#thread ??= startThread()
    return this.#thread
  }
}

/** `null` when it does not come up. */
async function startThread(): Promise<Thread | null> {
  try {
    const thread = new Thread(new Worker(workerFile()))
    await thread.ready
    return thread
  } catch {
    return null
  }
}

/** Beside this file, whether it runs as it is written or compiled. */
function workerFile(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./hash-worker.${extension}`, import.meta.url)
}

class Thread {
  readonly ready: Promise<unknown>
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0
  #hashes = 0
  #failure: Error | null = null
  #isEnding = false

  constructor(worker: Worker) {
    this.#worker = worker
    this.ready = this.#wait(READY.id)
    worker.on('message', ({ id, digest }: HashResult) => {
      this.#waiting.get(id)?.resolve(digest)
      this.#waiting.delete(id)
      // `end` keeps the process alive until the thread has ended.
      if (this.#waiting.size === 0 && !this.#isEnding) worker.unref()
    })
    worker.on('error', error => this.#fail(error instanceof Error ? error : new Error(String(error))))
    worker.on('exit', () => this.#fail(new Error('The hashing thread ended')))
  }

  hash(): PartHash {
    const hash = ++this.#hashes
    return {
      update: async part => void (await this.#call({ hash, part })),
      digest: async () => (await this.#call({ hash, part: null })) ?? new Uint8Array(0),
    }
  }

  async md5(part: Bytes): Promise<Uint8Array> {
    return (await this.#call({ hash: 'md5', part })) ?? new Uint8Array(0)
  }

  async end(): Promise<void> {
    this.#isEnding = true
    await this.#worker.terminate()
  }

  #call(call: Omit<HashCall, 'id'>): Waiting['promise'] {
    if (this.#failure) return Promise.reject(this.#failure)
    const id = ++this.#calls
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread has no origin
    this.#worker.postMessage({ id, ...call })
    return this.#wait(id)
  }

  #wait(id: number): Waiting['promise'] {
    const waiting: Waiting = Promise.withResolvers()
    this.#waiting.set(id, waiting)
    this.#worker.ref()
    return waiting.promise
  }

  #fail(error: Error): void {
    this.#failure ??= error
    for (const { reject } of this.#waiting.values()) reject(this.#failure)
    this.#waiting.clear()
  }
}

/** What goes between a client and its hashing thread. Messages are worked on in the order they are sent. */
export interface HashCall {
  /** Numbers the results. */
  readonly id: number
  /** Which SHA-256 goes on; `md5`: the MD5 of this part alone is asked for. */
  readonly hash: number | 'md5'
  /** In shared memory; `null` asks for the digest. */
  readonly part: Uint8Array | null
}

export interface HashResult {
  readonly id: number
  readonly digest: Uint8Array<ArrayBuffer> | null
}

/** The first message of a thread that came up. */
export const READY: HashResult = { id: 0, digest: null }
