/** What the system knows of a listening socket. */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Connections that may wait at this port until they are accepted, as `ss` tells (Send-Q of a listener). */
export async function acceptQueueOf(url: string): Promise<number> {
  const { stdout } = await run('ss', ['-ltnH', `sport = :${new URL(url).port}`])
  const [, , limit] = stdout.trim().split(/\s+/)
  return Number(limit)
}

/** More than this no listener gets. */
export function systemAcceptQueue(): number {
  return Number(readFileSync('/proc/sys/net/core/somaxconn', 'utf8'))
}
