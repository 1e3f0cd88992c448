/** Joins the process (arguments, streams, signals) to the program. */
import type { CliIo } from './cli-io.ts'
import { isBrokenPipe } from './terminal/writer.ts'
import { Interrupted, OutputClosed } from './exit-codes.ts'
import { keepLibrariesQuiet } from './library-words.ts'
import { runCli } from './program.ts'

/** Runs the command line of this process; resolves with the exit code. */
export function runProcess(): Promise<number> {
  const stop = new AbortController()
  const interrupt = (signal: 'SIGINT' | 'SIGTERM'): void => {
    const reason = new Interrupted(signal)
    // The second one is from somebody who does not want to wait.
    if (stop.signal.aborted) process.exit(reason.exitCode)
    stop.abort(reason)
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  process.stdout.on('error', error => {
    if (isBrokenPipe(error)) stop.abort(new OutputClosed('stdout was closed'))
  })
  // A message that nobody can read must not hide the exit code.
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
