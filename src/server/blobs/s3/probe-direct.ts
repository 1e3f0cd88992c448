import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { createHash } from 'node:crypto'
import { Agent, request } from 'undici'

import { note, passed, failed, type ProbeRun, type S3Check, type S3Finding, unreachable } from './probe-findings.ts'
import { createS3Client } from './s3-client.ts'

const TTL_SECONDS = 60
const DIRECT = 'storage.transfer'

/** The object that is stored by presigned URL, which replaces nothing: so not the probe's own. The probe deletes it. */
export const directName = (name: string): string => `${name}-direct`

/** Whether clients could exchange bytes with the service by presigned URLs. Problems only if direct transfer is on. */
export async function checkDirectAccess(probing: ProbeRun): Promise<readonly S3Finding[]> {
  const agent = new Agent()
  try {
    const findings = await check(probing, agent)
    return probing.options.direct ? findings : findings.map(soften)
  } finally {
    await agent.destroy()
  }
}

/** A fault of an unused feature is a note. */
function soften(finding: S3Finding): S3Finding {
  return finding.level === 'problem' ? note(finding.check, finding.message) : finding
}

async function check(probing: ProbeRun, agent: Agent): Promise<readonly S3Finding[]> {
  const { options, bytes } = probing
  const { upload, download } = await sign(probing)
  const setting = options.publicEndpoint === undefined ? 'storage.s3.endpoint' : 'storage.s3.publicEndpoint'
  const md5 = createHash('md5').update(bytes).digest('base64')
  try {
    const sent = await send(probing, agent, {
      url: upload,
      method: 'PUT',
      headers: { 'content-md5': md5, 'if-none-match': '*' },
      body: bytes,
    })
    const got = await send(probing, agent, { url: download, method: 'GET', headers: { range: 'bytes=0-63' } })
    return [
      judged('presigned-upload', sent.status === 200, sent.status),
      judged('presigned-download', got.status === 206 && got.bytes.equals(bytes), got.status),
      ...(await checkCors(probing, agent, upload)),
    ]
  } catch (error) {
    return [unreachable(error, setting, options.publicEndpoint ?? options.endpoint)]
  }
}

function judged(check: S3Check, works: boolean, status: number): S3Finding {
  const what = check === 'presigned-upload' ? 'store' : 'read'
  if (works) return passed(check, `Presigned URLs to ${what} work`)
  return failed(check, DIRECT, `${DIRECT}: presigned URLs to ${what} fail (HTTP ${status}): set it to proxy`)
}

async function checkCors(probing: ProbeRun, agent: Agent, url: string): Promise<readonly S3Finding[]> {
  const findings: S3Finding[] = []
  const { corsOrigins = [], direct } = probing.options
  if (corsOrigins.length === 0) return [passed('cors', direct ? 'cors.origins names no web pages' : NO_RULE_NEEDED)]
  for (const origin of corsOrigins) {
    const refused: string[] = []
    for (const each of PAGE_REQUESTS)
      if (!(await isAllowed(probing, agent, { url, origin, ...each }))) refused.push(each.what)
    if (refused.length === 0) findings.push(passed('cors', `Web pages of ${origin} may use the bucket`))
    else findings.push(failed('cors', null, notAllowed(origin, refused)))
  }
  return findings
}

const NO_RULE_NEEDED = 'The bucket needs no rule for web pages: their bytes pass this server'

/** What a page sends, as browsers announce it in a preflight request. */
const PAGE_REQUESTS = [
  { what: 'store', method: 'PUT', sends: ['content-md5', 'if-none-match'] },
  { what: 'read', method: 'GET', sends: ['range'] },
] as const

const notAllowed = (origin: string, refused: readonly string[]): string =>
  `The bucket's CORS rules do not let web pages of ${origin} ${refused.join(' and ')}: add them`

interface Preflight {
  readonly url: string
  readonly origin: string
  readonly method: string
  readonly sends: readonly string[]
}

async function isAllowed(probing: ProbeRun, agent: Agent, { url, origin, method, sends }: Preflight): Promise<boolean> {
  const { status, headers } = await send(probing, agent, {
    url,
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': sends.join(','),
    },
  })
  const listed = (name: string): string[] =>
    String(headers[name] ?? '')
      .toLowerCase()
      .split(/\s*,\s*/)
  const [allowed] = listed('access-control-allow-origin')
  const heads = listed('access-control-allow-headers')
  const isKnown = allowed === '*' || allowed === origin.toLowerCase()
  return status < 300 && isKnown && (heads.includes('*') || sends.every(name => heads.includes(name)))
}

interface Sent {
  readonly url: string
  readonly method: 'PUT' | 'GET' | 'OPTIONS'
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Buffer
}

interface Received {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly bytes: Buffer
}

function send({ ask }: ProbeRun, agent: Agent, { url, ...sent }: Sent): Promise<Received> {
  return ask(async ({ signal }) => {
    const { statusCode: status, headers, body } = await request(url, { ...sent, signal, dispatcher: agent })
    return { status, headers, bytes: Buffer.from(await body.arrayBuffer()) }
  })
}

async function sign({
  options,
  name,
  bytes,
}: ProbeRun): Promise<{ readonly upload: string; readonly download: string }> {
  const client = createS3Client({ ...options, endpoint: options.publicEndpoint ?? options.endpoint })
  const named = { Bucket: options.bucket, Key: directName(name) }
  const ContentMD5 = createHash('md5').update(bytes).digest('base64')
  try {
    const put = new PutObjectCommand({ ...named, ContentLength: bytes.length, ContentMD5, IfNoneMatch: '*' })
    const upload = await getSignedUrl(client, put, { expiresIn: TTL_SECONDS })
    const download = await getSignedUrl(client, new GetObjectCommand(named), { expiresIn: TTL_SECONDS })
    return { upload, download }
  } finally {
    client.destroy()
  }
}
