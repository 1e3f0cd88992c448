import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

import { makeFolder } from '../../../files/make-folder.ts'
import { localError } from '../files/local-error.ts'

/** `$XDG_STATE_HOME/sealift`, else `~/.local/state/sealift` (XDG Base Directory Specification). */
export function defaultStateDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const given = environment['XDG_STATE_HOME'] ?? ''
  return join(isAbsolute(given) ? given : join(homedir(), '.local', 'state'), 'sealift')
}

/** A folder inside the state directory, made when absent, closed to other users. @throws local_file */
export async function stateFolder(stateDirectory: string, name: string): Promise<string> {
  const folder = join(stateDirectory, name)
  await makeFolder(folder, 0o700).catch((error: unknown) => {
    throw localError('The state directory cannot be used', folder, error)
  })
  return folder
}
