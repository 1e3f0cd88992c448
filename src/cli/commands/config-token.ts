import { stringify } from 'yaml'

import { hashToken, newToken } from '../../server/access/tokens.ts'
import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { EXIT, UsageError } from '../exit-codes.ts'

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
