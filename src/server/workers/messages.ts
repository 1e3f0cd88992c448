/** What the supervising process and its workers tell each other. */
import type { Health } from '../../protocol/schemas.ts'
import type { MetricsSnapshot } from '../telemetry/metrics.ts'

/** What a worker knows of itself. */
export interface WorkerReport {
  readonly metrics: MetricsSnapshot
  readonly readiness: Health
}

export type ToWorker = { readonly ask: 'report'; readonly id: number }

export type FromWorker =
  /** It takes requests at this address. */
  | { readonly told: 'listening'; readonly url: string }
  | { readonly told: 'report'; readonly id: number; readonly report: WorkerReport }

export function isToWorker(message: unknown): message is ToWorker {
  return typeof message === 'object' && message !== null && 'ask' in message && message.ask === 'report'
}

export function isFromWorker(message: unknown): message is FromWorker {
  return typeof message === 'object' && message !== null && 'told' in message
}
