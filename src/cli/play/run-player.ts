import { spawn } from 'node:child_process'

import { UsageError } from '../exit-codes.ts'

/** How a player ended; `code` is `null` when a signal ended it. */
export interface PlayerEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/**
 * Runs a program with an address as its only argument, until it ends; no shell reads either. What it says goes to
 * standard error, since standard output is for results. When `signal` aborts it is asked to end.
 * @throws UsageError when it cannot be started
 */
export function runPlayer(program: string, url: string, signal: AbortSignal): Promise<PlayerEnd> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [url], { stdio: ['inherit', 2, 2], env: withoutSecrets(process.env) })
    const stop = (): void => void child.kill('SIGTERM')
    signal.addEventListener('abort', stop)
    child.once('error', error => {
      signal.removeEventListener('abort', stop)
      reject(child.pid === undefined ? new UsageError(cannotStart(error)) : error)
    })
    child.once('close', (code, endSignal) => {
      signal.removeEventListener('abort', stop)
      resolve({ code, signal: endSignal })
    })
  })
}

/** A player needs neither, and may load plugins, scripts and pages. */
function withoutSecrets(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const { SEALIFT_LINK: _link, SEALIFT_TOKEN: _token, ...others } = environment
  return others
}

function cannotStart(error: Error): string {
  const code = 'code' in error ? String(error.code) : error.message
  const why = code === 'ENOENT' ? 'there is no such program on the PATH' : code
  return `The player of --open could not be started: ${why}.`
}
