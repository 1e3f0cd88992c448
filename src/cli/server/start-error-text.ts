import { systemReason } from '../../files/system-failure.ts'
import { isSealiftError, SealiftError } from '../../protocol/errors.ts'
import type { ServerConfig } from '../../server/index.ts'

/** Puts what keeps a server from starting in plain words; anything else stays as it is. */
export function explainStart(error: unknown, config: ServerConfig): unknown {
  const found = systemError(error)
  // The hint for clients to retry does not help an operator: the message says what does.
  const message = (found && messageFor(found, config)) ?? (isSealiftError(error, 'unavailable') ? error.message : null)
  return message === null ? error : new SealiftError('invalid_request', message, { cause: error })
}

interface SystemError extends Error {
  readonly code: string
  readonly syscall?: string
  readonly port?: number
  readonly address?: string
  readonly path?: string
}

function messageFor(error: SystemError, config: ServerConfig): string | null {
  const { host, port } = config.listen
  const place = placeOf(error.address ?? host, error.port ?? port)
  switch (error.code) {
    case 'EADDRINUSE':
      return `${place} is in use already: another server runs there. Stop it, or choose another port with ${portSetting(error, config)} (0: any free one).`
    case 'EADDRNOTAVAIL':
      return `${place}: this machine has no such address. Choose another with --host.`
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `${host} is no known host. Give an address with --host.`
    default:
      break
  }
  if (error.syscall === 'listen')
    return `${place} may not be listened on (${error.code}). Ports below 1024 need privileges.`
  const reason = error.syscall !== undefined && FILE_CALLS.has(error.syscall) ? systemReason(error.code) : null
  return reason === null
    ? null
    : `The data directory cannot be used: ${error.path ?? config.dataDirectory}: ${reason} (${error.code}). Choose one that this user may write with --data.`
}

function placeOf(host: string, port: number): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

function portSetting({ port }: SystemError, { admin, listen }: ServerConfig): string {
  return port === admin.port && port !== listen.port ? 'admin.port (SEALIFT_ADMIN_PORT)' : '--port'
}

const FILE_CALLS = new Set(['mkdir', 'stat', 'open', 'scandir', 'write', 'fsync', 'fdatasync'])

/** The system's own error, which may be the cause of ours. */
function systemError(error: unknown): SystemError | null {
  for (let each = error, depth = 0; each instanceof Error && depth < 5; each = each.cause, depth += 1) {
    if ('code' in each && typeof each.code === 'string' && 'syscall' in each) return each as SystemError
  }
  return null
}
