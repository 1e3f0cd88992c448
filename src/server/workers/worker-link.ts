/** The side of a worker: tells the supervisor where it listens, and answers what it is asked. */
import cluster from 'node:cluster'

import { isToWorker, type FromWorker, type WorkerReport } from './messages.ts'

/** True in a process that a supervisor started to serve. */
export function isWorker(): boolean {
  return cluster.isWorker
}

/**
 * Call it once the server takes requests. `report` never rejects. Dispose the result when the server has stopped: the
 * process can end only then.
 */
export function tellSupervisor(url: string, report: () => Promise<WorkerReport>): Disposable {
  process.on('message', (message: unknown) => {
    if (!isToWorker(message)) return
    void report().then(answer => send({ told: 'report', id: message.id, report: answer }))
  })
  send({ told: 'listening', url })
  return { [Symbol.dispose]: () => cluster.worker?.disconnect() }
}

/** A supervisor that is gone is no error here: its end ends this process as well. */
function send(message: FromWorker): void {
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}
