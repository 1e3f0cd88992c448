import { ConfigError } from '../../server/config/config-error.ts'
import { configFileOf } from '../../server/config/environment.ts'
import { loadConfig } from '../../server/config/load-config.ts'
import { configWarnings } from '../../server/config/write-config.ts'
import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { EXIT } from '../exit-codes.ts'

/** `sealift config check`: every mistake at once. */
export async function configCheck(io: CliIo, file: string | undefined, options: OutputOptions): Promise<number> {
  const output = new Output(io, options)
  const path = file ?? configFileOf(io.env)
  try {
    const warnings = configWarnings(await loadConfig({ file: path, environment: io.env }))
    await output.line('The configuration is valid.')
    for (const warning of warnings) output.warn(`warning: ${warning}`)
    await output.result({ ok: true, problems: [], warnings })
    return EXIT.ok
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    output.warn(error.message)
    await output.result({ ok: false, problems: error.problems, warnings: [] })
    return EXIT.failed
  }
}
