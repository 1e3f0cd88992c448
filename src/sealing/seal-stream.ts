import { OrderedOutput } from './ordered-output.ts'
import type { Sealer } from './sealer.ts'
import { Slicer } from './slicer.ts'
import type { Bytes } from './suite.ts'

/**
 * Seals a stream of any length: plaintext in, in slices of any size; header and then one sealed chunk at a time out.
 *
 * Holds one chunk of plaintext and at most twice `sealer.suite.parallel` sealed ones; takes in no more while nobody
 * reads. A slice may be reused once its write has resolved. What is read before the stream closes is not a whole
 * sealed media: without its last chunk nobody opens it to the end.
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
