/**
 * One of the services that the tests start, as a process of its own; says how to reach it, and takes it along on
 * SIGTERM.
 */
import { engines } from '../../test/support/engines/all.ts'

const engine = engines.find(({ name }) => name === process.argv[2])
if (!engine) throw new TypeError('Name an engine')
const running = await engine.start()
process.once('SIGTERM', () => void stop())
console.log(`facts ${JSON.stringify(running.facts)}`)
// A timer keeps the process: some engines hold nothing open in it.
setInterval(() => undefined, 60_000)

async function stop(): Promise<void> {
  await running[Symbol.asyncDispose]()
  process.exit(0)
}
