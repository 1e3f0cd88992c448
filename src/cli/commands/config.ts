import { stringify } from 'yaml'

import {
  ConfigError,
  configFileOf,
  loadConfig,
  configWarnings,
  printConfig,
  hashToken,
  newToken,
} from '../../server/index.ts'
import { type CliIo, Output, type OutputOptions } from '../cli-io.ts'
import { EXIT, UsageError } from '../exit-codes.ts'

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

export interface TokenCommandOptions extends OutputOptions {
  readonly subject: string
  readonly tier?: string
  readonly device?: string
}

const WORD = /^[\x21-\x7e]{1,128}$/

/** `sealift config token`: the token is shown once; the configuration gets its hash. */
export async function configToken(io: CliIo, options: TokenCommandOptions): Promise<number> {
  const { subject, tier, device } = options
  for (const [name, value] of Object.entries({ subject, tier, device })) {
    if (value !== undefined && !WORD.test(value))
      throw new UsageError(`--${name} must be 1 to 128 printable ASCII characters without spaces.`)
  }
  const token = newToken()
  const sha256 = hashToken(token)
  const entry = {
    subject,
    sha256,
    ...(tier === undefined ? {} : { tier }),
    ...(device === undefined ? {} : { device }),
  }
  const output = new Output(io, options)
  output.note(`The token of ${subject}, shown this once:`)
  await output.line(token)
  output.note('Its entry for the configuration (then reload the server with SIGHUP):')
  await output.lines(
    stringify({ access: { tokens: [entry] } })
      .trimEnd()
      .split('\n'),
  )
  await output.result({ ok: true, token, entry })
  return EXIT.ok
}
