import { createHash, randomBytes } from 'node:crypto'

import { stringify } from 'yaml'

import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { EXIT, UsageError } from '../exit-codes.ts'

export interface TokenCommandOptions extends OutputOptions {
  readonly subject: string
  readonly tier?: string
  readonly device?: string
}

const TOKEN_BYTES = 32
const WORD = /^[\x21-\x7e]{1,128}$/

/** `sealift config token`: the token is shown once; the configuration gets its hash. */
export async function configToken(io: CliIo, options: TokenCommandOptions): Promise<number> {
  const { subject, tier, device } = options
  for (const [name, value] of Object.entries({ subject, tier, device })) {
    if (value !== undefined && !WORD.test(value))
      throw new UsageError(`--${name} must be 1 to 128 printable ASCII characters without spaces.`)
  }
  const token = randomBytes(TOKEN_BYTES).toString('base64url')
  const sha256 = createHash('sha256').update(token).digest('hex')
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
  await output.line(stringify({ access: { tokens: [entry] } }).trimEnd())
  await output.result({ ok: true, token, entry })
  return EXIT.ok
}
