import { readFile } from 'node:fs/promises'

import { ok, warn, type Check } from './check.ts'

const SYSTEM_LIMIT = '/proc/sys/net/core/somaxconn'

/** How many connections the system holds until they are accepted. Nothing where it does not tell. */
export async function* checkBacklog(backlog: number, limitFile = SYSTEM_LIMIT): AsyncGenerator<Check> {
  const limit = Number(await readFile(limitFile, 'utf8').catch(() => ''))
  if (!Number.isInteger(limit) || limit <= 0) return
  if (limit >= backlog) yield ok('backlog', `${backlog} connections may wait to be accepted (listen.backlog)`)
  else
    yield warn(
      'backlog',
      `the system holds ${limit} waiting connections, not ${backlog} (listen.backlog), and cuts a larger burst: sysctl -w net.core.somaxconn=${backlog}, then restart the server`,
    )
}
