/**
 * Checks what an S3 service can do and which settings are wrong: one line each. Used at start and by `sealift doctor`.
 * Every request has a deadline; two objects of 64 bytes are written and deleted.
 */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3'
import { createHash, randomBytes } from 'node:crypto'
import { buffer } from 'node:stream/consumers'
import type { Readable } from 'node:stream'
import { request } from 'undici'

import { ObjectNames } from './object-names.ts'
import { checkDirectAccess, directName } from './probe-direct.ts'
import {
  failed,
  note,
  passed,
  type ProbeCall,
  type ProbeRun,
  refused,
  type S3Finding,
  type S3ProbeOptions,
  unreachable,
} from './probe-findings.ts'
import { tryOnce } from './request-retries.ts'
import { createS3Client, REQUEST_TIMEOUT_MS } from './s3-client.ts'
import { s3Failure } from './s3-errors.ts'

const REQUEST_LIMIT_MS = 10_000
/** Services refuse a signature that is 15 minutes off; a presigned URL may live shorter. */
const SKEW_PROBLEM_MS = 5 * 60_000
const SKEW_NOTE_MS = 5000
/** Older objects of a probe are of one that crashed. */
const LEFTOVER_MS = 3_600_000

/** Findings in the order of the checks. Rejects only with the signal's reason. */
export async function probeS3(options: S3ProbeOptions, signal: AbortSignal): Promise<readonly S3Finding[]> {
  const timeoutMs = Math.min(REQUEST_LIMIT_MS, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS)
  const client = createS3Client(options)
  const ask: ProbeCall = call => tryOnce(timeoutMs, signal, call)
  const name = `${new ObjectNames(options.prefix).probe}${randomBytes(8).toString('hex')}`
  try {
    const findings = await findAll({ options, client, ask, name, bytes: randomBytes(64) })
    signal.throwIfAborted()
    return findings
  } finally {
    client.destroy()
  }
}

async function findAll(probing: ProbeRun): Promise<readonly S3Finding[]> {
  const findings = await checkEndpoint(probing)
  if (hasProblem(findings)) return findings
  const listed = await checkList(probing)
  findings.push(listed)
  if (listed.level === 'ok') findings.push(styleOf(probing.options))
  // With a wrong key or bucket every other call fails alike.
  if (listed.level === 'problem' && listed.check !== 'list') return findings
  const written = await checkWrite(probing)
  findings.push(written)
  if (written.level === 'problem') return findings
  try {
    findings.push(...(await checkRead(probing)), await checkMd5(probing), await checkConditional(probing))
    findings.push(...(await checkDirectAccess(probing)))
  } finally {
    // The next check reports what cannot be deleted.
    await remove(probing, directName(probing.name)).catch(() => undefined)
    findings.push(await checkDelete(probing))
  }
  return findings
}

const hasProblem = (findings: readonly S3Finding[]): boolean => findings.some(({ level }) => level === 'problem')

async function checkEndpoint({ options, ask }: ProbeRun): Promise<S3Finding[]> {
  const { endpoint, clock = Date.now } = options
  try {
    const response = await ask(({ signal }) => request(endpoint, { signal, headersTimeout: 0 }))
    response.body.on('error', () => undefined).destroy()
    return [passed('endpoint', 'The service responds'), checkClock(response.headers['date'], clock())]
  } catch (error) {
    return [unreachable(error, 'storage.s3.endpoint', endpoint)]
  }
}

function checkClock(date: string | string[] | undefined, nowMs: number): S3Finding {
  const theirs = typeof date === 'string' ? Date.parse(date) : Number.NaN
  if (Number.isNaN(theirs)) return note('clock', 'The service sends no Date')
  const skewMs = Math.abs(nowMs - theirs)
  const skew = `This machine's clock is ${Math.round(skewMs / 1000)} s away from the service's`
  if (skewMs >= SKEW_PROBLEM_MS) return failed('clock', null, `${skew}: set it, best by NTP`)
  return skewMs >= SKEW_NOTE_MS ? note('clock', `${skew}: keep it by NTP`) : passed('clock', 'The clocks agree')
}

async function checkList(probing: ProbeRun): Promise<S3Finding> {
  const { options, client, ask } = probing
  const Prefix = new ObjectNames(options.prefix).probe
  try {
    const command = new ListObjectsV2Command({ Bucket: options.bucket, Prefix, MaxKeys: 100 })
    const page = await ask(({ signal: abortSignal }) => client.send(command, { abortSignal }))
    if (page.Name === undefined) return refused('list', null, 's3:ListBucket')
    const left = (page.Contents ?? []).filter(each => isLeftover(each.LastModified, options.clock ?? Date.now))
    for (const { Key } of left) if (Key !== undefined) await remove(probing, Key)
    return passed('list', 'Objects can be listed')
  } catch (error) {
    return explained(probing, refused('list', error, 's3:ListBucket'), error)
  }
}

/** Only after a list has worked: an unknown host name is reported there. */
function styleOf({ pathStyle }: S3ProbeOptions): S3Finding {
  if (pathStyle)
    return passed('path-style', 'The bucket is in the path below the endpoint (storage.s3.pathStyle: true)')
  return passed('path-style', "The bucket is in the host name before the endpoint's (storage.s3.pathStyle: false)")
}

function isLeftover(modified: Date | undefined, clock: () => number): boolean {
  return modified !== undefined && clock() - modified.getTime() > LEFTOVER_MS
}

/** A host name made of bucket and endpoint fails without a useful error. */
function explained({ options }: ProbeRun, finding: S3Finding, error: unknown): S3Finding {
  const { status, code } = s3Failure(error)
  if (status === null && code !== 'CredentialsProviderError' && !options.pathStyle) {
    const setting = 'storage.s3.pathStyle'
    const message = `${setting}: the host name of bucket and endpoint cannot be reached (${code ?? '?'}): set it to true`
    return failed('endpoint', setting, message)
  }
  return status === null && finding.check === 'list'
    ? unreachable(error, 'storage.s3.endpoint', options.endpoint)
    : finding
}

async function checkWrite(probing: ProbeRun): Promise<S3Finding> {
  try {
    await put(probing, {})
    return passed('write', 'Objects can be stored')
  } catch (error) {
    return refused('write', error, 's3:PutObject')
  }
}

async function checkRead({ options, client, ask, name, bytes }: ProbeRun): Promise<readonly S3Finding[]> {
  try {
    const command = new GetObjectCommand({ Bucket: options.bucket, Key: name, Range: 'bytes=10-19' })
    const received = await ask(async ({ signal: abortSignal }) => {
      const { Body } = await client.send(command, { abortSignal })
      return buffer(Body as Readable)
    })
    const read = passed('read', 'Objects can be read')
    if (received.equals(bytes.subarray(10, 20))) return [read, passed('ranges', 'Ranges are supported')]
    const message =
      'storage.s3.endpoint: the service, or a proxy before it, does not support ranges, which reading needs'
    return [read, failed('ranges', 'storage.s3.endpoint', message)]
  } catch (error) {
    return [refused('read', error, 's3:GetObject')]
  }
}

async function checkMd5(probing: ProbeRun): Promise<S3Finding> {
  const wrong = createHash('md5').update('something else').digest('base64')
  const taken = await isTaken(put(probing, { ContentMD5: wrong }))
  if (!taken) return passed('content-md5', 'Bytes that do not match their Content-MD5 are refused')
  const message = 'Content-MD5 is ignored: a client could store other bytes than it announced'
  if (!probing.options.direct) return note('content-md5', message)
  return failed('content-md5', 'storage.transfer', `storage.transfer: ${message}; set it to proxy`)
}

async function checkConditional(probing: ProbeRun): Promise<S3Finding> {
  const taken = await isTaken(put(probing, { IfNoneMatch: '*' }))
  if (!taken)
    return passed('conditional-writes', 'If-None-Match works: bytes stored by presigned URL cannot be replaced')
  const message = 'If-None-Match is ignored (only direct transfer needs it)'
  if (!probing.options.direct) return note('conditional-writes', message)
  const risk = 'until its presigned URLs expire, a sender can replace confirmed bytes of its own media'
  return note('conditional-writes', `If-None-Match is ignored: ${risk}; shorten storage.directUrlTtl, or use proxy`)
}

async function checkDelete(probing: ProbeRun): Promise<S3Finding> {
  try {
    await remove(probing, probing.name)
    return passed('delete', 'Objects can be deleted')
  } catch (error) {
    return refused('delete', error, 's3:DeleteObject')
  }
}

function put({ options, client, ask, name, bytes }: ProbeRun, extra: Partial<PutObjectCommandInput>): Promise<unknown> {
  const command = new PutObjectCommand({ Bucket: options.bucket, Key: name, Body: bytes, ...extra })
  return ask(({ signal: abortSignal }) => client.send(command, { abortSignal }))
}

function remove({ options, client, ask }: ProbeRun, name: string): Promise<unknown> {
  const command = new DeleteObjectCommand({ Bucket: options.bucket, Key: name })
  return ask(({ signal: abortSignal }) => client.send(command, { abortSignal }))
}

/** Whether a write succeeded that the service should refuse. */
async function isTaken(write: Promise<unknown>): Promise<boolean> {
  return write.then(
    () => true,
    () => false,
  )
}
