/** The way from this machine to a server, step by step. */
import { randomBytes } from 'node:crypto'

import * as z from 'zod'

import { isSealiftError } from '../../client/node/index.ts'
import type { Limits, NodeSealift, Transport } from '../../client/node/index.ts'
import { readAll, redirection } from '../../client/wire/http.ts'
import { routePath } from '../../protocol/paths.ts'
import { health } from '../../protocol/schemas.ts'
import { formatDuration, formatSize } from '../../protocol/units.ts'
import { explain } from '../error-text.ts'
import { fail, ok, warn, type Check } from './check.ts'

export interface ClientCheckOptions {
  /** Without a slash at its end. */
  readonly server: string
  readonly sealift: NodeSealift
  /** The way that the client takes too, through a proxy if there is one. */
  readonly transport: Transport
  readonly version: string
  readonly signal: AbortSignal
}

const RESPONSE_TIMEOUT_MS = 10_000
/** Tokens are refused when clocks differ by more than seconds; expiries look odd by more than a minute. */
const CLOCK_TOLERANCE_MS = 60_000
const ROUND_TRIP_BYTES = 70_000
const MAX_RESPONSE_BYTES = 8 * 1024 * 1024

/** Stops at the first step without which the others mean nothing. */
export async function* checkClient(options: ClientCheckOptions): AsyncGenerator<Check> {
  const reached = await reach(options)
  yield reached.check
  if (reached.check.status === 'fail') return
  yield checkClock(reached)
  yield await checkReady(options)
  yield await checkVersion(options)
  const { check, limits } = await checkLimits(options)
  yield check
  if (!limits) return
  const roundTrip = await checkRoundTrip(options)
  yield roundTrip
  if (roundTrip.status !== 'fail') yield await checkWholePart(options, limits)
}

interface Reached {
  readonly check: Check
  readonly serverTimeMs: number | null
  readonly nowMs: number
}

async function reach(options: ClientCheckOptions): Promise<Reached> {
  const { server, signal } = options
  const startedAtMs = performance.now()
  try {
    const response = await request(options, routePath('health', {}))
    const elapsed = formatDuration(performance.now() - startedAtMs)
    const body = health.safeParse(response.json)
    const date = Date.parse(response.date)
    const check = body.success
      ? ok('server', `${server} responds (${elapsed})`)
      : fail('server', `${server} responds, but not like a Sealift server: check the address, or the proxy before it`)
    return { check, serverTimeMs: Number.isNaN(date) ? null : date, nowMs: Date.now() }
  } catch (error) {
    signal.throwIfAborted()
    const check = fail('server', `${server} cannot be reached: ${reasonOf(error)}`)
    return { check, serverTimeMs: null, nowMs: Date.now() }
  }
}

function checkClock({ serverTimeMs, nowMs }: Reached): Check {
  if (serverTimeMs === null) return warn('clock', 'the server does not tell its time')
  const differenceMs = Math.abs(nowMs - serverTimeMs)
  if (differenceMs <= CLOCK_TOLERANCE_MS) return ok('clock', 'agrees with the server')
  const text = `this machine and the server differ by ${formatDuration(differenceMs)}`
  return warn('clock', `${text}: signed tokens may be refused; set the clock that is wrong`)
}

async function checkReady(options: ClientCheckOptions): Promise<Check> {
  const { signal } = options
  try {
    const response = await request(options, routePath('ready', {}))
    if (response.status < 300) return ok('ready', 'storage and records work')
    const body = health.safeParse(response.json)
    const failing = Object.entries(body.data?.checks ?? {}).filter(([, status]) => status === 'failing')
    const names = failing.map(([name]) => name).join(', ') || 'stopping'
    return fail('ready', `the server is not ready (${names}): look at its log`)
  } catch (error) {
    signal.throwIfAborted()
    return fail('ready', reasonOf(error))
  }
}

const openApi = z.looseObject({ info: z.looseObject({ version: z.string().max(64) }) })

async function checkVersion(options: ClientCheckOptions): Promise<Check> {
  const { version, signal } = options
  try {
    const response = await request(options, routePath('openapi', {}))
    const document = openApi.safeParse(response.json)
    if (!document.success) return warn('version', `the server does not tell its version (this is ${version})`)
    const theirs = document.data.info.version
    if (theirs.split('.')[0] === version.split('.')[0]) return ok('version', `server ${theirs}, here ${version}`)
    return warn(
      'version',
      `server ${theirs}, here ${version}: they may not understand each other; update the older one`,
    )
  } catch (error) {
    signal.throwIfAborted()
    return warn('version', reasonOf(error))
  }
}

interface LimitsCheck {
  readonly check: Check
  /** `null`: they could not be read. */
  readonly limits: Limits | null
}

async function checkLimits({ sealift, signal }: ClientCheckOptions): Promise<LimitsCheck> {
  try {
    const told = await sealift.limits({ signal })
    const { client, limits, remaining } = told
    const who = client.anonymous ? 'anonymous client' : 'token accepted'
    const room = `${formatSize(remaining.storedBytes)} of ${formatSize(limits.storedBytes)} free`
    return { check: ok('access', `${who}, tier ${client.tier}, ${room}`), limits: told }
  } catch (error) {
    signal.throwIfAborted()
    return { check: fail('access', sentencesOf(error)), limits: null }
  }
}

async function checkRoundTrip(options: ClientCheckOptions): Promise<Check> {
  const startedAtMs = performance.now()
  try {
    const isSame = await thereAndBack(options, ROUND_TRIP_BYTES)
    if (!isSame) return fail('round trip', 'what came back is not what was sent')
    const elapsed = formatDuration(performance.now() - startedAtMs)
    return ok('round trip', `${formatSize(ROUND_TRIP_BYTES)} sent, received, compared and deleted (${elapsed})`)
  } catch (error) {
    options.signal.throwIfAborted()
    return fail('round trip', sentencesOf(error))
  }
}

/** A proxy may take small requests and refuse, or cut, those that files travel in. */
async function checkWholePart(options: ClientCheckOptions, { partBytes, limits, remaining }: Limits): Promise<Check> {
  const bytes = partBytes + ROUND_TRIP_BYTES
  const room = Math.min(limits.maxBytes.other, remaining.storedBytes, remaining.pendingBytes)
  if (bytes + ROUND_TRIP_BYTES > room)
    return warn('whole part', `not tried: limits leave no room for ${formatSize(bytes)}`)
  const startedAtMs = performance.now()
  try {
    const isSame = await thereAndBack(options, bytes)
    if (!isSame) return fail('whole part', 'what came back is not what was sent')
    const elapsed = formatDuration(performance.now() - startedAtMs)
    return ok('whole part', `a part of ${formatSize(partBytes)} travels in one request (${elapsed})`)
  } catch (error) {
    options.signal.throwIfAborted()
    return fail('whole part', `a part of ${formatSize(partBytes)} does not arrive. ${sentencesOf(error)}`)
  }
}

/** Sends an item, receives it and deletes it again. */
async function thereAndBack({ sealift, signal }: ClientCheckOptions, byteLength: number): Promise<boolean> {
  const bytes = new Uint8Array(randomBytes(byteLength))
  const terms = { ttlSeconds: 3600, padding: false, signal }
  const sent = await sealift.send([{ name: 'doctor', source: bytes }], terms)
  try {
    const parcel = await sealift.open(sent.link, { signal })
    const [item] = parcel.items
    const received = item ? await parcel.bytes(item, { signal }) : new Uint8Array()
    return Buffer.compare(received, bytes) === 0
  } finally {
    await sealift.delete(sent.link, sent.ownerSecret)
  }
}

function sentencesOf(error: unknown): string {
  const { message, hint } = explain(error)
  return [message, hint].join(' ').trim()
}

interface ReadResponse {
  readonly status: number
  readonly date: string
  /** `null` when it is none. */
  readonly json: unknown
}

async function request({ server, transport, signal }: ClientCheckOptions, path: string): Promise<ReadResponse> {
  const response = await transport.request({
    method: 'GET',
    url: server + path,
    headers: {},
    signal: AbortSignal.any([signal, AbortSignal.timeout(RESPONSE_TIMEOUT_MS)]),
    stallTimeoutMs: RESPONSE_TIMEOUT_MS,
  })
  if (response.status >= 300 && response.status < 400) throw await redirection(response, server)
  const text = new TextDecoder().decode(await readAll(response, MAX_RESPONSE_BYTES))
  return { status: response.status, date: response.header('date') ?? '', json: parsed(text) }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; is the server running, and the port right?',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the name could not be looked up; is the network up?',
  ECONNRESET: 'the connection was cut',
  ETIMEDOUT: 'the host does not respond',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  UND_ERR_CONNECT_TIMEOUT: 'the host does not respond',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS; is it http:// instead of https://?',
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.name === 'TimeoutError'
}

function reasonOf(error: unknown): string {
  if (isTimeout(error) || (error instanceof Error && isTimeout(error.cause))) return 'no response within 10 seconds'
  const cause = error instanceof Error ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return REASONS[code] ?? explain(isSealiftError(error) ? error : (cause ?? error)).message
}
