/** Joins the process (arguments, streams, signals) to the program. */
import type { CliIo } from './cli-io.ts'
import { isBrokenPipe, say } from './terminal/writer.ts'
import { Interrupted, OutputClosed } from './exit-codes.ts'
import { runCli } from './program.ts'

/** Runs the command line of this process; resolves with the exit code. */
export function runProcess(): Promise<number> {
  const stop = new AbortController()
  const interrupt = (signal: 'SIGINT' | 'SIGTERM'): void => {
    const reason = new Interrupted(signal)
    // A second signal stops without waiting.
    if (stop.signal.aborted) process.exit(reason.exitCode)
    stop.abort(reason)
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  process.stdout.on('error', error => {
    if (isBrokenPipe(error)) stop.abort(new OutputClosed('stdout was closed'))
  })
  // A message that cannot be written must not hide the exit code.
  process.stderr.on('error', () => {})
  const io = processIo(stop.signal)
  keepLibrariesQuiet(io)
  return runCli(process.argv.slice(2), io)
}

function processIo(signal: AbortSignal): CliIo {
  return {
    // A getter: touching stdin opens it.
    get stdin() {
      return process.stdin
    },
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    signal,
  }
}

const METHODS = ['debug', 'error', 'info', 'log', 'trace', 'warn'] as const

/**
 * Keeps what libraries, and Node's own warnings, say by themselves away from standard output and error: it is for
 * developers, it may hold the words of a link's sender, and `--quiet` promises nothing but errors. `SEALIFT_DEBUG`
 * shows it.
 */
export function keepLibrariesQuiet({ stderr, env }: Pick<CliIo, 'stderr' | 'env'>): void {
  const tell = (words: string): void => {
    if (env['SEALIFT_DEBUG']) say(stderr, words)
  }
  for (const method of METHODS) console[method] = (...words: unknown[]) => tell(words.map(String).join(' '))
  process.removeAllListeners('warning')
  process.on('warning', warning => tell(warning.stack ?? warning.message))
}
