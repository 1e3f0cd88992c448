import type { CliIo } from './cli-io.ts'
import { say } from './terminal/writer.ts'

const METHODS = ['debug', 'error', 'info', 'log', 'trace', 'warn'] as const

/**
 * Keeps what libraries, and Node's own warnings, say by themselves away from standard output and error: it is for
 * developers, it may hold the words of a link's sender, and `--quiet` promises nothing but errors. `SEALIFT_DEBUG`
 * shows it.
 */
export function keepLibrariesQuiet({ stderr, env }: Pick<CliIo, 'stderr' | 'env'>): void {
  const tell = (words: string): void => {
    if (env['SEALIFT_DEBUG']) say(stderr, words)
  }
  for (const method of METHODS) console[method] = (...words: unknown[]) => tell(words.map(String).join(' '))
  process.removeAllListeners('warning')
  process.on('warning', warning => tell(warning.stack ?? warning.message))
}
