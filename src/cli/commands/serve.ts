import type { CliIo } from '../cli-io.ts'

export function serve(_io: CliIo, _options: object): Promise<number> {
  return Promise.reject(new Error('not built yet'))
}
