import { cpus } from 'node:os'

import type { CoreSplit } from './context.ts'
import { findTool } from './tools.ts'

/** Servers on the first half of the cores, loads on the second. Nothing is pinned on one core or without `taskset`. */
export async function splitCores(): Promise<CoreSplit> {
  const count = cpus().length
  const half = Math.floor(count / 2)
  if (half === 0 || (await findTool('taskset')) === null) {
    return { server: undefined, client: undefined, serverCount: count }
  }
  return { server: `0-${half - 1}`, client: `${half}-${count - 1}`, serverCount: half }
}
