import type { Caller } from '../access/caller.ts'
import { reportLimits, type LimitsReport } from '../limits/limits-report.ts'
import { sendJson } from './responses.ts'
import type { Exchange } from './exchange.ts'

/** What applies to the caller, what it uses, what is left. */
export async function limitsRoute(deps: LimitsReport, exchange: Exchange, { client }: Caller): Promise<void> {
  sendJson(exchange, 200, await reportLimits(deps, client))
}
