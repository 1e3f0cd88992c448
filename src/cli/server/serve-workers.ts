import { once } from 'node:events'

import { pino } from 'pino'

import type { LiveConfigHolder } from '../../server/config/live-config.ts'
import { createSupervisorEvents } from '../../server/telemetry/supervisor-events.ts'
import { superviseWorkers, WorkerFailed, type Supervisor } from '../../server/workers/supervisor.ts'
import type { CliIo } from '../cli-io.ts'
import { EXIT } from '../exit-codes.ts'
import { explainStart } from './explain-start.ts'
import type { Hangups } from './hangups.ts'

const STDERR = 2

/** Serves with several processes until a signal stops them. `announce` is told the addresses once all of them serve. */
export async function serveWorkers(
  io: CliIo,
  { live, hangups }: { readonly live: LiveConfigHolder; readonly hangups: Hangups },
  announce: (addresses: Pick<Supervisor, 'url' | 'adminUrl'>) => Promise<void>,
): Promise<number> {
  try {
    await using supervisor = await start(live)
    hangups.tellTo(() => supervisor.reload())
    await announce(supervisor)
    if (!io.signal.aborted) await once(io.signal, 'abort')
    await supervisor.stop()
    return EXIT.ok
  } catch (error) {
    // It has said what is wrong.
    if (error instanceof WorkerFailed) return error.exitCode
    throw explainStart(error, live.current)
  }
}

function start(live: LiveConfigHolder): Promise<Supervisor> {
  const { workers, admin } = live.current
  return superviseWorkers({
    count: workers,
    admin: admin.enabled ? admin : null,
    stopGraceMs: () => live.current.transfer.stopGraceMs,
    events: createSupervisorEvents(live, pino.destination({ fd: STDERR, sync: true })),
  })
}
