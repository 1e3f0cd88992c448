/** `sealift play` as a process, with a film that a real server keeps. */
import { startCli, until, type CliOptions, type RunningCli } from './running-cli.ts'

export interface Playing extends AsyncDisposable {
  readonly running: RunningCli
  /** What it printed last: the address of the item. */
  readonly url: string
  /** Address of another file beside it. */
  readonly beside: (name: string) => string
}

export async function startPlay(args: readonly string[], options: CliOptions = {}): Promise<Playing> {
  const running = startCli(['play', ...args], options)
  await until('it tells an address', () => /^http:\S+\n$/m.test(running.stdout()) || running.child.exitCode !== null)
  const url = running.stdout().trimEnd().split('\n').at(-1) ?? ''
  if (!url.startsWith('http://127.0.0.1:')) throw new Error(`sealift play did not start:\n${running.stderr()}`)
  return {
    running,
    url,
    beside: name => new URL(name, url).href,
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  }
}
