import type { CliIo } from '../cli-io.ts'

export function fsck(_io: CliIo, _options: object): Promise<number> {
  return Promise.reject(new Error('not built yet'))
}
