/** The side of a worker: tells the supervisor where it listens, and answers what it is asked. */
import cluster from 'node:cluster'

import { isToWorker, type FromWorker, type WorkerReport } from './messages.ts'

/** A worker's connection to its supervisor. The process can end only when it is disposed. */
export interface SupervisorLink extends Disposable {
  /** Call it once the server takes requests. `report` never rejects. */
  tell(url: string, report: () => Promise<WorkerReport>): void
}

/** `null` in a process that has no supervisor. */
export function linkToSupervisor(): SupervisorLink | null {
  if (!cluster.isWorker) return null
  return {
    tell(url, report) {
      process.on('message', (message: unknown) => {
        if (!isToWorker(message)) return
        void report().then(answer => send({ told: 'report', id: message.id, report: answer }))
      })
      send({ told: 'listening', url })
    },
    [Symbol.dispose]: () => cluster.worker?.disconnect(),
  }
}

/** A supervisor that is gone is no error here: its end ends this process as well. */
function send(message: FromWorker): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}
