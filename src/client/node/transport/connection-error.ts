/** What went wrong below HTTP, in words. */
import { errors } from 'undici'

import { systemCode } from '../../../files/system-failure.ts'
import { SealiftError } from '../../../protocol/errors.ts'

const CERTIFICATE_CODES =
  /^(CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT|UNABLE_TO_|ERR_TLS_CERT_|HOSTNAME_MISMATCH)/

export function connectionError(error: unknown): SealiftError {
  if (error instanceof SealiftError) return error
  const code = systemCode(error) ?? ''
  if (CERTIFICATE_CODES.test(code)) return untrusted(error, code)
  // A value that no request can hold will not become better by trying again.
  if (error instanceof errors.InvalidArgumentError)
    return new SealiftError('invalid_request', 'The request holds a value that HTTP cannot carry', { cause: error })
  return new SealiftError('network', describe(error, code), { cause: error })
}

function untrusted(error: unknown, code: string): SealiftError {
  const why = certificateTrouble(code)
  return new SealiftError('untrusted_server', `The certificate of the server is not trusted: ${why}`, { cause: error })
}

function certificateTrouble(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') return 'it has expired'
  if (code === 'CERT_NOT_YET_VALID') return 'it is not valid yet'
  if (code === 'CERT_REVOKED') return 'it was revoked'
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID' || code === 'HOSTNAME_MISMATCH') return 'it is for another name'
  return /SELF_SIGNED/.test(code)
    ? 'it is signed by itself or by an unknown authority'
    : `it cannot be verified (${code})`
}

function describe(error: unknown, code: string): string {
  if (code === 'ECONNREFUSED') return 'Nothing answers at the address of the server'
  if (code === 'ENOTFOUND') return 'The name of the server cannot be found'
  if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'ERR_SSL_PACKET_LENGTH_TOO_LONG')
    return 'The server does not speak TLS there: its address may begin with http:// rather than https://'
  const late = error instanceof errors.HeadersTimeoutError || error instanceof errors.BodyTimeoutError
  if (late || error instanceof errors.ConnectTimeoutError) return 'The server was silent for too long'
  return 'The connection to the server broke'
}
