// Ends a hashing thread that was just asked for something (`asked`), or whose response is in flight (`responded`). A
// process that waits for such an end must not run out of things to wait for before.
import { HashThread } from '../../src/client/node/hash-thread.ts'
import { hashingHere } from '../../src/client/send/part-hashing.ts'
import { nodeSuite } from '../../src/sealing/node-suite.ts'

const [moment] = process.argv.slice(2)
const thread = new HashThread(hashingHere(nodeSuite))
const hash = await thread.start()
const part = thread.allocate(4 * 2 ** 20)
const hashing = hash.update(part).catch(() => undefined)
if (moment === 'responded') {
  // This thread is too busy to take the response before it ends the other one.
  const until = performance.now() + 300
  while (performance.now() < until);
}
await thread[Symbol.asyncDispose]()
await hashing
