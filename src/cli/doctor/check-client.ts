/** The way from this machine to a server, step by step. */
import { randomBytes } from 'node:crypto'

import * as z from 'zod'

import type { NodeSealift } from '../../client/node/index.ts'
import { routePath } from '../../protocol/routes.ts'
import { health } from '../../protocol/schemas.ts'
import { formatDuration, formatSize } from '../../protocol/units.ts'
import { explain } from '../explain.ts'
import { fail, ok, warn, type Check } from './check.ts'

export interface ClientCheckOptions {
  /** Without a slash at its end. */
  readonly server: string
  readonly sealift: NodeSealift
  readonly version: string
  readonly signal: AbortSignal
}

const ANSWER_WITHIN_MS = 10_000
/** Tokens are refused when clocks differ by more than seconds; expiries look odd by more than a minute. */
const CLOCK_TOLERANCE_MS = 60_000
const ROUND_TRIP_BYTES = 70_000

/** Stops at the first step without which the others mean nothing. */
export async function* checkClient(options: ClientCheckOptions): AsyncGenerator<Check> {
  const reached = await reach(options)
  yield reached.check
  if (reached.check.status === 'fail') return
  yield checkClock(reached)
  yield await checkReady(options)
  yield await checkVersion(options)
  const limits = await checkLimits(options)
  yield limits
  if (limits.status !== 'fail') yield await checkRoundTrip(options)
}

interface Reached {
  readonly check: Check
  readonly serverTimeMs: number | null
  readonly nowMs: number
}

async function reach({ server, signal }: ClientCheckOptions): Promise<Reached> {
  const startedAtMs = performance.now()
  try {
    const answer = await request(server + routePath('health', {}), signal)
    const elapsed = formatDuration(performance.now() - startedAtMs)
    const body = health.safeParse(await answer.json().catch(() => null))
    const date = Date.parse(answer.headers.get('date') ?? '')
    const check = body.success
      ? ok('server', `${server} answers (${elapsed})`)
      : fail('server', `${server} answers, but not as a Sealift server does: check the address, or the proxy before it`)
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

async function checkReady({ server, signal }: ClientCheckOptions): Promise<Check> {
  try {
    const answer = await request(server + routePath('ready', {}), signal)
    if (answer.ok) return ok('ready', 'storage and records work')
    const body = health.safeParse(await answer.json().catch(() => null))
    const failing = Object.entries(body.data?.checks ?? {}).filter(([, status]) => status === 'failing')
    const names = failing.map(([name]) => name).join(', ') || 'stopping'
    return fail('ready', `the server is not ready (${names}): look at its log`)
  } catch (error) {
    signal.throwIfAborted()
    return fail('ready', reasonOf(error))
  }
}

const openApi = z.looseObject({ info: z.looseObject({ version: z.string().max(64) }) })

async function checkVersion({ server, version, signal }: ClientCheckOptions): Promise<Check> {
  try {
    const answer = await request(server + routePath('openapi', {}), signal)
    const document = openApi.safeParse(await answer.json().catch(() => null))
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

async function checkLimits({ sealift, signal }: ClientCheckOptions): Promise<Check> {
  try {
    const { client, limits, remaining } = await sealift.limits({ signal })
    const who = client.anonymous ? 'without a token' : 'with a token'
    const room = `${formatSize(remaining.storedBytes)} of ${formatSize(limits.storedBytes)} free`
    return ok('access', `${who}, tier ${client.tier}, ${room}`)
  } catch (error) {
    signal.throwIfAborted()
    const { message, hint } = explain(error)
    return fail('access', [message, hint].join(' ').trim())
  }
}

/** A tiny item there and back, then deleted. */
async function checkRoundTrip({ sealift, signal }: ClientCheckOptions): Promise<Check> {
  const bytes = new Uint8Array(randomBytes(ROUND_TRIP_BYTES))
  const startedAtMs = performance.now()
  try {
    const sent = await sealift.send([{ name: 'doctor', source: bytes }], { ttlSeconds: 3600, signal })
    try {
      const parcel = await sealift.open(sent.link, { signal })
      const [item] = parcel.items
      const received = item ? await parcel.bytes(item, { signal }) : new Uint8Array()
      if (Buffer.compare(received, bytes) !== 0) return fail('round trip', 'what came back is not what was sent')
    } finally {
      await sealift.delete(sent.link, sent.ownerSecret)
    }
    const elapsed = formatDuration(performance.now() - startedAtMs)
    return ok('round trip', `${formatSize(ROUND_TRIP_BYTES)} sent, received, compared and deleted (${elapsed})`)
  } catch (error) {
    signal.throwIfAborted()
    const { message, hint } = explain(error)
    return fail('round trip', [message, hint].join(' ').trim())
  }
}

function request(url: string, signal: AbortSignal): Promise<Response> {
  return fetch(url, { redirect: 'error', signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_WITHIN_MS)]) })
}

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there; is the server running, and the port right?',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the name could not be looked up; is the network up?',
  ECONNRESET: 'the connection was cut',
  ETIMEDOUT: 'the host does not answer',
  EHOSTUNREACH: 'there is no way to that host',
  ENETUNREACH: 'there is no way to that network',
  UND_ERR_CONNECT_TIMEOUT: 'the host does not answer',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS; is it http:// instead of https://?',
}

function reasonOf(error: unknown): string {
  if (error instanceof Error && error.name === 'TimeoutError') return 'no answer within 10 seconds'
  const cause = error instanceof Error ? error.cause : undefined
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : ''
  return REASONS[code] ?? explain(cause ?? error).message
}
