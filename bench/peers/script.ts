import { join } from 'node:path'

import { startService } from '../processes.ts'

export interface ScriptServer extends AsyncDisposable {
  readonly pid: number
  readonly origin: string
}

/** Starts a Node server beside this file that announces its address. */
export async function startScript(
  name: string,
  args: readonly string[],
  cores: string | undefined,
): Promise<ScriptServer> {
  const service = await startService(
    { command: process.execPath, args: [join(import.meta.dirname, name), ...args], cores },
    started => started.line(/listening on (\S+)/),
  )
  return { ...service, origin: service.found[1] ?? '' }
}
