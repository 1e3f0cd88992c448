#!/usr/bin/env -S node --max-semi-space-size=2
/**
 * The `sealift` command: joins the process (arguments, streams, signals, exit code) to the program.
 *
 * The first line keeps the young generation small: what streams through dies at once, so a larger one only holds a
 * hundred megabytes more of buffers that are garbage already.
 */
import { isBrokenPipe, type CliIo } from './cli-io.ts'
import { Interrupted, OutputClosed } from './exit-codes.ts'
import { runCli } from './program.ts'

const stop = new AbortController()

function interrupt(signal: 'SIGINT' | 'SIGTERM'): void {
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

const io: CliIo = {
  // A getter: touching stdin opens it.
  get stdin() {
    return process.stdin
  },
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: stop.signal,
}

process.exitCode = await runCli(process.argv.slice(2), io)
