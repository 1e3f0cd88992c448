/** Errors of file systems, in words. */

/** Each completes "…: it", or stands alone after a colon. */
const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission is denied',
  EDQUOT: 'the disk quota is used up',
  EEXIST: 'something of that name is there already',
  EFBIG: 'the file is too large for the file system',
  EIO: 'the disk reports an error',
  EISDIR: 'it is a folder',
  ELOOP: 'symbolic links lead in a circle',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'the name is too long',
  ENFILE: 'too many files are open on this machine',
  ENOENT: 'it does not exist',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a folder was expected',
  ENOTSUP: 'this file system does not support it',
  ENXIO: 'nothing is at the other end of it',
  EPERM: 'it is not permitted',
  EROFS: 'the file system is read-only',
  ESTALE: 'the network file system has lost it',
}

/** Why, as half a sentence; `null` for codes without words. */
export function systemReason(code: string | undefined): string | null {
  return code !== undefined && Object.hasOwn(REASONS, code) ? (REASONS[code] ?? null) : null
}

/** `ENOENT` and the like; `undefined` when it is no error of the system. */
export function systemCode(error: unknown): string | undefined {
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}

/** What we find out ourselves, in the shape of the system's own errors. */
export class SystemFailure extends Error {
  override readonly name = 'SystemFailure'
  readonly syscall = 'mkdir'
  readonly code: string
  readonly path: string

  constructor(code: string, path: string) {
    super(`${code}: ${systemReason(code) ?? code}`)
    this.code = code
    this.path = path
  }
}
