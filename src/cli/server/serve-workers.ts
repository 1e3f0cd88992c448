import { once } from 'node:events'

import { pino } from 'pino'

import {
  WORKER_TOKEN_VARIABLE,
  type LiveConfigHolder,
  type ServerConfig,
  adminAddress,
  type Supervisor,
  loadWorkers,
} from '../../server/index.ts'
import type { CliIo } from '../cli-io.ts'
import { EXIT } from '../exit-codes.ts'
import { explainStart } from './start-error-text.ts'
import type { ReloadSignal } from './reload-signal.ts'
import type { LocalAccess } from './local-access.ts'

const STDERR = 2

export interface WorkersOptions {
  readonly live: LiveConfigHolder
  readonly reloadSignal: ReloadSignal
  readonly access: LocalAccess
  /** Reads the configuration again: workers do so for themselves, and so does the file of the local token. */
  readonly reread: () => Promise<ServerConfig>
}

/**
 * Serves with several processes until a signal stops them. Calls `announce` with the addresses once all of them serve.
 */
export async function serveWorkers(
  io: CliIo,
  { live, reloadSignal, access, reread }: WorkersOptions,
  announce: (addresses: Pick<Supervisor, 'url' | 'adminUrl'>) => Promise<void>,
): Promise<number> {
  const { WorkerFailed } = await loadWorkers()
  try {
    await using supervisor = await start(live, access)
    reloadSignal.setListener(() => {
      supervisor.reload()
      // What is wrong with it, the workers say.
      void reread()
        .then(next => access.follow(supervisor.url, next))
        .catch(() => undefined)
    })
    await announce(supervisor)
    if (!io.signal.aborted) await once(io.signal, 'abort')
    await access[Symbol.asyncDispose]()
    await supervisor.stop()
    return EXIT.ok
  } catch (error) {
    // It has said what is wrong.
    if (error instanceof WorkerFailed) return error.exitCode
    throw explainStart(error, live.current)
  }
}

async function start(live: LiveConfigHolder, access: LocalAccess): Promise<Supervisor> {
  const { superviseWorkers, createSupervisorEvents } = await loadWorkers()
  const { workers, admin } = live.current
  return await superviseWorkers({
    count: workers,
    workerEnvironment: { [WORKER_TOKEN_VARIABLE]: access.sha256 },
    admin: admin.enabled ? adminAddress(live.current) : null,
    stopGraceMs: () => live.current.transfer.stopGraceMs,
    events: createSupervisorEvents(live, pino.destination({ fd: STDERR, sync: true })),
  })
}
