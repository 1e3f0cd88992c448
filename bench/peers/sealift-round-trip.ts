/** `sealift send`, then `sealift get`, as a person would type them. */
import { mkdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'

import type { BenchContext } from '../context.ts'
import { run } from '../processes.ts'
import type { RoundTripPeer } from './round-trip.ts'
import { sealift, startSealift } from './sealift.ts'

export const sealiftRoundTrip: RoundTripPeer = {
  name: sealift.name,
  missing: () => sealift.missing(),
  async start(context) {
    const server = await startSealift(context, { pinned: false })
    const home = await context.workspace.folder('client')
    let link = ''
    return {
      ...server,
      async sendAndGet(source, target) {
        const inbox = join(home, 'inbox')
        await mkdir(inbox, { recursive: true })
        link = lastLine(await sealiftCommand(['send', source, '--server', server.origin], home, context))
        await sealiftCommand(['get', link, '-o', inbox], home, context)
        await rename(join(inbox, basename(source)), target)
      },
      async clear() {
        await sealiftCommand(['rm', link], home, context)
        await server.emptied()
        await rm(join(home, 'inbox'), { recursive: true, force: true })
      },
    }
  },
}

/** Runs the command line with a home folder of its own, so that nothing of the user's is read or written. */
export function sealiftCommand(args: readonly string[], home: string, context: BenchContext): Promise<string> {
  return run({
    command: process.execPath,
    args: [...context.build.cli, ...args],
    cwd: home,
    env: { HOME: home, XDG_CONFIG_HOME: home, XDG_STATE_HOME: home, XDG_CACHE_HOME: home, XDG_DATA_HOME: home },
    signal: context.signal,
  })
}

export function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
