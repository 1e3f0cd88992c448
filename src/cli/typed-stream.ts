import { contentMediaType, type SendItem } from '../client/node/index.ts'
import { HEAD_BYTES } from '../client/media-type.ts'

/** A stream to send, before its type is known. */
export interface NamedStream {
  readonly name: string
  readonly source: ReadableStream<Uint8Array>
}

/** The item with the type of what its stream begins with. Resolves once the beginning has come. @throws the abort */
export async function typedStream({ name, source }: NamedStream, signal: AbortSignal): Promise<SendItem> {
  const reader = source.getReader()
  const cancel = (): void => void reader.cancel(signal.reason).catch(() => undefined)
  signal.addEventListener('abort', cancel, { once: true })
  const { chunks, end } = await readBeginning(reader)
  signal.removeEventListener('abort', cancel)
  signal.throwIfAborted()
  const type = await contentMediaType(Buffer.concat(chunks).subarray(0, HEAD_BYTES), name)
  return { name, type, source: withBeginning(chunks, end, reader) }
}

type Reader = ReadableStreamDefaultReader<Uint8Array>

/** How a stream ended within its beginning; `null`: it goes on. */
type End = { readonly error?: unknown } | null

async function readBeginning(reader: Reader): Promise<{ chunks: Uint8Array[]; end: End }> {
  const chunks: Uint8Array[] = []
  try {
    for (let bytes = 0; bytes < HEAD_BYTES;) {
      const { done, value } = await reader.read()
      if (done) return { chunks, end: {} }
      chunks.push(value)
      bytes += value.byteLength
    }
    return { chunks, end: null }
  } catch (error) {
    return { chunks, end: { error } }
  }
}

/** What was read, then the rest. An error comes where it came before. */
function withBeginning(chunks: Uint8Array[], end: End, reader: Reader): ReadableStream<Uint8Array> {
  return new ReadableStream({
    async pull(controller) {
      const chunk = chunks.shift()
      if (chunk) return controller.enqueue(chunk)
      if (end && 'error' in end) throw end.error
      const next = end ? null : await reader.read()
      if (!next || next.done) controller.close()
      else controller.enqueue(next.value)
    },
    cancel: reason => reader.cancel(reason),
  })
}
