import { serverBase } from '../../client/link.ts'
import { undiciTransport } from '../../client/node/index.ts'
import { configFileOf } from '../../server/index.ts'
import { Output, type CliIo, type OutputOptions } from '../cli-io.ts'
import { openServer, serverOf, type ServerOptions } from '../client.ts'
import { checkClient } from '../doctor/check-client.ts'
import type { Check } from '../doctor/check.ts'
import { EXIT } from '../exit-codes.ts'
import { packageVersion } from '../../files/package-version.ts'
import { fit, printable } from '../terminal/text.ts'

export interface DoctorOptions extends ServerOptions, OutputOptions {
  readonly config?: string
  readonly data?: string
  readonly fix?: boolean
}

/** `sealift doctor`: the way to a server, or with --config or --data the server of this machine. */
export async function doctor(io: CliIo, options: DoctorOptions): Promise<number> {
  const output = new Output(io, options)
  const checks: Check[] = []
  const nameWidth = isAboutServer(options) ? 21 : 13
  for await (const check of checksOf(io, options)) {
    checks.push(check)
    await output.line(`${fit(check.status, 4)}  ${fit(check.name, nameWidth)}  ${printable(check.detail)}`)
  }
  const ok = checks.every(check => check.status !== 'fail')
  output.note(ok ? 'Nothing is wrong.' : 'Something is wrong; see above.')
  await output.result({ ok, checks })
  return ok ? EXIT.ok : EXIT.failed
}

function isAboutServer({ config, data, fix }: DoctorOptions): boolean {
  return config !== undefined || data !== undefined || fix === true
}

async function* checksOf(io: CliIo, options: DoctorOptions): AsyncGenerator<Check> {
  if (isAboutServer(options)) {
    const { checkServer } = await import('../doctor/check-server.ts')
    yield* checkServer({
      file: options.config ?? configFileOf(io.env),
      data: options.data ?? null,
      io,
      fix: options.fix ?? false,
    })
    return
  }
  const server = serverBase(serverOf(io, options))
  await using sealift = openServer(io, options)
  await using transport = undiciTransport({ connections: 2, environment: io.env })
  yield* checkClient({ server, sealift, transport, version: packageVersion(), signal: io.signal })
}
