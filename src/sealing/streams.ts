import { concatBytes } from './byte-tools.ts'
import { HEADER_BYTES } from './constants.ts'
import { assertChunkBytes, sealedChunkCount } from './layout.ts'
import { createOpener } from './opener.ts'
import type { Opener, OpeningKey } from './opener.ts'
import { Trimmer } from './padding.ts'
import type { Sealer } from './sealer.ts'
import { damaged } from './sealing-error.ts'
import { Slicer } from './slicer.ts'
import type { Awaitable, Bytes } from './suite.ts'

/** What `openStream` goes by. */
export interface OpenStreamOptions extends OpeningKey {
  /**
   * The whole length of header and ciphertext, from the manifest: any other length is refused. Leave it out while the
   * sender does not know it yet; then a chunk is opened when a byte behind it or the end of the stream has come.
   */
  readonly sealedBytes?: number | undefined
  /** The true length, from the manifest: the padding behind it is checked to be zeros and left out. */
  readonly plainBytes?: number | undefined
}

/**
 * Opens a whole sealed media: header and ciphertext in, in slices of any size; plaintext out, chunk by chunk, each
 * authenticated before any of it leaves.
 *
 * The stream closes only when the last chunk has been authenticated as the last, and nothing came behind it. Until
 * then the reader has a true beginning, not the whole: one that keeps it must be ready to discard it. Anything forged,
 * cut or extra errors the stream with `damaged`. Memory as for `sealStream`.
 * @throws {SealingError} `invalid_argument` for an impossible chunk size; `damaged` for an impossible `sealedBytes`
 */
export function openStream(options: OpenStreamOptions): TransformStream<Uint8Array, Bytes> {
  const { parallel } = options.suite
  let opening: StreamOpening
  assertPossible(options)
  return new TransformStream<Uint8Array, Bytes>(
    {
      start(controller) {
        opening = new StreamOpening(options, controller)
      },
      transform: slice => opening.take(slice),
      flush: () => opening.end(),
    },
    undefined,
    { highWaterMark: parallel },
  )
}

function assertPossible({ chunkBytes, sealedBytes }: OpenStreamOptions): void {
  assertChunkBytes(chunkBytes)
  if (sealedBytes !== undefined) sealedChunkCount(sealedBytes, chunkBytes)
}

/** The state of one `openStream`. */
class StreamOpening {
  readonly #options: OpenStreamOptions
  readonly #output: OrderedOutput<Bytes>
  readonly #slicer: Slicer
  readonly #trimmer: Trimmer
  readonly #lastIndex: number | undefined
  #header: Bytes = new Uint8Array(0)
  #opener: Opener | undefined
  #chunks = 0

  constructor(options: OpenStreamOptions, controller: TransformStreamDefaultController<Bytes>) {
    const { chunkBytes, sealedBytes } = options
    this.#options = options
    this.#trimmer = new Trimmer(options.plainBytes)
    this.#lastIndex = sealedBytes === undefined ? undefined : sealedChunkCount(sealedBytes, chunkBytes) - 1
    this.#slicer = new Slicer({
      sizeOf: index => this.#sizeOf(index),
      holdsBack: sealedBytes === undefined,
    })
    const emit = (plain: Bytes): void => {
      const content = this.#trimmer.trim(plain)
      if (content.byteLength > 0) controller.enqueue(content)
    }
    this.#output = new OrderedOutput(options.suite.parallel, emit, error => controller.error(error))
  }

  async take(slice: Uint8Array): Promise<void> {
    const body = this.#takeHeader(slice)
    if (body.byteLength === 0) return
    this.#opener ??= await createOpener({ ...this.#options, header: this.#header })
    for (const { index, bytes } of this.#slicer.push(body)) await this.#open(this.#opener, index, bytes)
  }

  async end(): Promise<void> {
    const rest = this.#slicer.end()
    if (this.#opener === undefined) throw damaged()
    if (this.#lastIndex === undefined) await this.#output.add(this.#opener.openChunk(rest.index, rest.bytes, true))
    else if (rest.bytes.byteLength > 0 || this.#chunks !== this.#lastIndex + 1) throw damaged()
    await this.#output.drained()
    this.#trimmer.end()
  }

  async #open(opener: Opener, index: number, sealed: Uint8Array): Promise<void> {
    if (index > (this.#lastIndex ?? Infinity)) throw damaged()
    this.#chunks = index + 1
    await this.#output.add(opener.openChunk(index, sealed, index === this.#lastIndex))
  }

  #sizeOf(index: number): number {
    const { chunkBytes, sealedBytes } = this.#options
    const start = index === 0 ? HEADER_BYTES : index * chunkBytes
    return Math.min((index + 1) * chunkBytes, index === this.#lastIndex ? (sealedBytes ?? Infinity) : Infinity) - start
  }

  #takeHeader(slice: Uint8Array): Uint8Array {
    const missing = HEADER_BYTES - this.#header.byteLength
    if (missing === 0) return slice
    this.#header = concatBytes(this.#header, slice.subarray(0, missing))
    return slice.subarray(missing)
  }
}

/**
 * Lets several results be worked on at once and hands them on in the order they were begun, each as soon as those
 * before it are out. At most `parallel` are held.
 */
export class OrderedOutput<T> {
  readonly #parallel: number
  readonly #emit: (result: T) => void
  readonly #fail: (error: unknown) => void
  #waiting: Promise<void>[] = []

  /** @param fail told of the first error; the results behind it are dropped */
  constructor(parallel: number, emit: (result: T) => void, fail: (error: unknown) => void) {
    this.#parallel = parallel
    this.#emit = emit
    this.#fail = fail
  }

  /** Takes a result that may still be pending. Resolves when another one can be added. */
  add(result: Awaitable<T>): Awaitable<void> {
    if (!(result instanceof Promise) && this.#waiting.length === 0) return this.#emit(result)
    const before = this.#waiting.at(-1)
    const emitted = this.#emitAfter(before, Promise.resolve(result))
    emitted.catch(this.#fail)
    this.#waiting.push(emitted)
    void emitted.then(() => this.#waiting.shift(), ignore)
    if (this.#waiting.length >= this.#parallel) return this.#waiting[0]
  }

  /** Resolves when everything taken is out; rejects with the first error. */
  async drained(): Promise<void> {
    await Promise.all(this.#waiting)
  }

  async #emitAfter(before: Promise<void> | undefined, result: Promise<T>): Promise<void> {
    // Both at once: a result that fails while an earlier one is still pending must not count as unhandled.
    const [value] = await Promise.all([result, before])
    this.#emit(value)
  }
}

function ignore(): void {}

/**
 * Seals a stream of any length: plaintext in, in slices of any size; header and then one sealed chunk at a time out.
 *
 * Holds one chunk of plaintext and at most twice `sealer.suite.parallel` sealed ones; takes in no more while it is not
 * read. A slice may be reused once its write has resolved. What is read before the stream closes is not a whole
 * sealed media item: without its last chunk it cannot be opened to its end.
 */
export function sealStream(sealer: Sealer): TransformStream<Uint8Array, Bytes> {
  const { parallel } = sealer.suite
  const slicer = new Slicer({ sizeOf: index => sealer.plainCapacity(index), holdsBack: true })
  let output: OrderedOutput<Bytes>
  return new TransformStream<Uint8Array, Bytes>(
    {
      start(controller) {
        output = new OrderedOutput(
          parallel,
          sealed => controller.enqueue(sealed),
          error => controller.error(error),
        )
        controller.enqueue(sealer.header.slice())
      },
      async transform(slice) {
        for (const { index, bytes } of slicer.push(slice)) await output.add(sealer.sealChunk(index, bytes, false))
      },
      async flush() {
        const { index, bytes } = slicer.end()
        await output.add(sealer.sealChunk(index, bytes, true))
        await output.drained()
      },
    },
    undefined,
    { highWaterMark: parallel },
  )
}
