import type { S3Client } from '@aws-sdk/client-s3'

import type { Try } from './request-retries.ts'
import type { S3Connection } from './s3-client.ts'
import { s3Failure } from './s3-errors.ts'

/** What is checked. */
export type S3Check =
  | 'endpoint'
  | 'clock'
  | 'credentials'
  | 'bucket'
  | 'path-style'
  | 'list'
  | 'write'
  | 'read'
  | 'ranges'
  | 'delete'
  | 'content-md5'
  | 'conditional-writes'
  | 'presigned-upload'
  | 'presigned-download'
  | 'cors'

export interface S3Finding {
  readonly check: S3Check
  /** `ok`; `note`: it works without; `problem`: it does not work as it is configured. */
  readonly level: 'ok' | 'note' | 'problem'
  /** The key of the configuration to look at, such as `storage.s3.endpoint`; `null` when none would help. */
  readonly setting: string | null
  /** One line: the result, and what to change. Holds no secret. */
  readonly message: string
}

export const passed = (check: S3Check, message: string): S3Finding => ({ check, level: 'ok', setting: null, message })

export const note = (check: S3Check, message: string): S3Finding => ({ check, level: 'note', setting: null, message })

export function failed(check: S3Check, setting: string | null, message: string): S3Finding {
  return { check, level: 'problem', setting, message }
}

/** `null` when bytes can be stored, read, listed and deleted. */
export function firstProblem(findings: readonly S3Finding[]): S3Finding | null {
  return findings.find(({ level }) => level === 'problem') ?? null
}

const ENDPOINT = 'storage.s3.endpoint'

/** Why the service could not be reached at all. */
export function unreachable(error: unknown, setting: string, endpoint: string): S3Finding {
  const { code } = s3Failure(error)
  const host = hostOf(endpoint)
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return failed('endpoint', setting, `The host name ${host} is not known: correct ${setting}`)
  }
  if (code === 'ECONNREFUSED') {
    return failed('endpoint', setting, `Nothing listens at ${host}: correct ${setting}, or start the service`)
  }
  if (isTls(code)) {
    const advice = `correct its scheme or host, or install the certificate's authority`
    return failed('endpoint', setting, `The TLS connection to ${host} failed (${code}): check ${setting}; ${advice}`)
  }
  const why =
    code === 'TryTimeout' || code?.includes('TIMEOUT') ? 'does not respond in time' : `failed (${code ?? '?'})`
  return failed('endpoint', setting, `The service at ${host} ${why}: check ${setting} and the network in between`)
}

interface Advice {
  readonly check: S3Check
  readonly setting: string | null
  readonly message: string
}

/** What an operator should do about S3's error codes. */
const ADVICE: Readonly<Record<string, Advice>> = {
  NoSuchBucket: advice('bucket', 'storage.s3.bucket', 'There is no such bucket: correct it, or make the bucket'),
  InvalidBucketName: advice('bucket', 'storage.s3.bucket', 'This is no name of a bucket'),
  InvalidAccessKeyId: advice('credentials', 'storage.s3.accessKeyId', 'The service does not know this access key'),
  SignatureDoesNotMatch: advice(
    'credentials',
    'storage.s3.secretAccessKey',
    'The signature is wrong: most likely this secret does not belong to the access key',
  ),
  CredentialsProviderError: advice(
    'credentials',
    'storage.s3.accessKeyId',
    'There are no credentials, here or where AWS keeps them: set it, with storage.s3.secretAccessKey',
  ),
  ExpiredToken: advice('credentials', 'storage.s3.accessKeyId', 'These credentials have expired'),
  AuthorizationHeaderMalformed: advice('bucket', 'storage.s3.region', 'The bucket is in another region'),
  PermanentRedirect: advice(
    'bucket',
    'storage.s3.region',
    'The bucket is in another region, or behind another endpoint',
  ),
  TemporaryRedirect: advice(
    'bucket',
    'storage.s3.region',
    'The bucket is in another region, or behind another endpoint',
  ),
  IllegalLocationConstraintException: advice('bucket', 'storage.s3.region', 'The bucket is in another region'),
  RequestTimeTooSkewed: advice('clock', null, "This machine's clock differs from the service's: set it, best by NTP"),
  XAmzContentSHA256Mismatch: advice('write', ENDPOINT, 'The service takes no unsigned payload over http: use https'),
  QuotaExceeded: advice('write', null, 'The quota of the bucket or its owner is used up: raise it'),
}

function advice(check: S3Check, setting: string | null, message: string): Advice {
  return { check, setting, message }
}

export type Permission = 's3:ListBucket' | 's3:PutObject' | 's3:GetObject' | 's3:DeleteObject'

/** The finding for a failed call. @param permission what the call needs */
export function refused(check: S3Check, error: unknown, permission: Permission): S3Finding {
  const { status, code } = s3Failure(error)
  const known = code === null ? undefined : ADVICE[code]
  if (known) {
    const where = known.setting === null ? '' : `${known.setting}: `
    return failed(known.check, known.setting, `${where}${known.message}`)
  }
  if (status === 403 || code === 'AccessDenied') {
    const setting = 'storage.s3.accessKeyId'
    return failed(check, setting, `${setting}: this key lacks the permission ${permission} on the bucket: grant it`)
  }
  const facts = [code, status === null ? null : `HTTP ${status}`].filter(each => each !== null).join(', ')
  const message = `${ENDPOINT}: the service responded ${facts || 'nothing that S3 would'}: is this an S3 service?`
  return failed(check, ENDPOINT, message)
}

/** Without user, password and path of the configured URL. */
function hostOf(endpoint: string): string {
  return URL.canParse(endpoint) ? new URL(endpoint).host : 'this address'
}

function isTls(code: string | null): boolean {
  return code !== null && (code === 'EPROTO' || /TLS|SSL|CERT|SIGNATURE|SELF_SIGNED/.test(code))
}

export interface S3ProbeOptions extends S3Connection {
  /** Where clients reach the service; the endpoint by default. */
  readonly publicEndpoint?: string
  /** Whether direct transfer is on: then what it needs is checked as a problem, not as a note. */
  readonly direct: boolean
  /** Origins of web pages that use it; none by default. */
  readonly corsOrigins?: readonly string[]
  /** Wall-clock ms; `Date.now` by default. */
  readonly clock?: () => number
}

/** Makes one call within its deadline. */
export type ProbeCall = <T>(call: (current: Try) => Promise<T>) => Promise<T>

export interface ProbeRun {
  readonly options: S3ProbeOptions
  readonly client: S3Client
  readonly ask: ProbeCall
  /** Of the object that is written. */
  readonly name: string
  readonly bytes: Buffer
}
