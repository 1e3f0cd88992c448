/** A client of the SDK as a process of its own, to be killed. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const CHILD = join(import.meta.dirname, 'sdk-child.ts')

/** Runs a client and kills it when `isTime`; resolves with the last line it printed, `null` when it was killed. */
export async function runChild(args: readonly string[], isTime: () => boolean): Promise<string | null> {
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const watch = setInterval(() => {
    if (isTime()) child.kill('SIGKILL')
  }, 1)
  let printed = ''
  child.stdout.on('data', (bytes: Buffer) => (printed += bytes.toString()))
  await once(child, 'close')
  clearInterval(watch)
  return child.signalCode === 'SIGKILL' ? null : (printed.trim().split('\n').at(-1) ?? '')
}
