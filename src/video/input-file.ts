import { stat } from 'node:fs/promises'

import { fileSource } from '../client/node/files/file-source.ts'
import type { FileSource } from '../client/node/files/file-source.ts'
import { localError } from '../client/node/files/local-error.ts'
import type { RandomSource } from '../client/api/source-and-sink.ts'
import { CannotPackage } from './packager.ts'
import type { FilmInput } from './packager.ts'

/**
 * The file of an input, for packagers that run in another thread or process; `null`: it has none. A source that knows
 * its file comes before a path, which may name another file than before.
 */
export async function fileOf({ source, path }: FilmInput): Promise<FileSource | null> {
  if (isFileSource(source)) return source
  if (path === undefined) return null
  if (!(await stat(path).catch(localTrouble(path))).isFile())
    throw new CannotPackage('Only regular files can be packaged')
  return fileSource(path)
}

function localTrouble(path: string): (error: unknown) => never {
  return error => {
    throw localError('A film cannot be read', path, error)
  }
}

function isFileSource(source: RandomSource): source is FileSource {
  return 'openFile' in source
}
