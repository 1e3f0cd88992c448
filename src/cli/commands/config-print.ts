import { configFileOf } from '../../server/config/environment.ts'
import { loadConfig } from '../../server/config/load-config.ts'
import { printConfig } from '../../server/config/write-config.ts'
import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { EXIT } from '../exit-codes.ts'

/** `sealift config print`: what is in force, as YAML; secrets left out. */
export async function configPrint(io: CliIo, file: string | undefined, options: OutputOptions): Promise<number> {
  const output = new Output(io, options)
  const config = await loadConfig({ file: file ?? configFileOf(io.env), environment: io.env })
  const yaml = printConfig(config)
  await output.lines(yaml.trimEnd().split('\n'))
  if (options.json) {
    const { parse } = await import('yaml')
    await output.result({ ok: true, config: parse(yaml) as unknown })
  }
  return EXIT.ok
}
