/** One connection to Valkey, and its errors. A broken connection is replaced, never repaired. */
import { createClient, ErrorReply } from '@redis/client'

import { SealiftError } from '../../protocol/errors.ts'

export interface Session {
  /** False from the moment the connection breaks. */
  readonly isOpen: boolean
  /** `run_id` of the server process: another process may know less than this one. Empty when INFO is not allowed. */
  readonly serverId: string
  send(args: readonly string[]): Promise<unknown>
  subscribe(channel: string, listener: (message: string) => void): Promise<void>
  isSubscribed(channel: string): boolean
  end(): void
}

export interface SessionOptions {
  readonly url: string
  /** Timeout of all of it: connection, password, subscriptions, a first write. */
  readonly timeoutMs: number
  /** By full name of the channel. */
  readonly listeners: ReadonlyMap<string, (message: string) => void>
  /** Written once, so that a server that refuses writes does not count as usable. */
  readonly probeKey: string
  /** Called once when the connection breaks after `openSession` resolved. */
  readonly onEnd: (session: Session, error: unknown) => void
}

/** @throws the error of the system or of the server */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { promise: failed, reject } = Promise.withResolvers<never>()
  failed.catch(() => undefined)
  const client = newClient(options)
  // One listener for its lifetime: the client proxies its emitter, and drops listeners that are added after a removal.
  let onError: (error: unknown) => void = reject
  client.on('error', (error: unknown) => onError(error))
  const channels = new Set<string>()
  let serverId = ''
  const session: Session = {
    get isOpen() {
      return client.isReady
    },
    get serverId() {
      return serverId
    },
    send: args => client.sendCommand(args),
    subscribe(channel, listener) {
      channels.add(channel)
      return client.subscribe(channel, listener)
    },
    isSubscribed: channel => channels.has(channel),
    end() {
      onError = () => undefined
      if (client.isOpen) client.destroy()
    },
  }
  const timer = setTimeout(() => reject(new ValkeyTimeoutError()), options.timeoutMs)
  try {
    serverId = await Promise.race([prepare(client, session, options), failed])
  } catch (error) {
    session.end()
    throw error
  } finally {
    clearTimeout(timer)
  }
  onError = error => options.onEnd(session, error)
  return session
}

function newClient({ url, timeoutMs }: SessionOptions) {
  return createClient({
    url,
    // RESP3 carries replies and messages on one connection.
    RESP: 3,
    disableOfflineQueue: true,
    maintNotifications: 'disabled',
    socket: { connectTimeout: timeoutMs, reconnectStrategy: false },
  })
}

/** @returns the id of the server */
async function prepare(
  client: ReturnType<typeof newClient>,
  session: Session,
  { listeners, probeKey }: SessionOptions,
): Promise<string> {
  await client.connect()
  const channels = [...listeners].map(([channel, listener]) => session.subscribe(channel, listener))
  const probed = client.sendCommand(['SET', probeKey, '1', 'PX', '60000'])
  const [serverId] = await Promise.all([readServerId(client), probed, ...channels])
  return serverId
}

async function readServerId(client: ReturnType<typeof newClient>): Promise<string> {
  const info = await client.sendCommand<string>(['INFO', 'server']).catch((error: unknown) => {
    if (error instanceof ErrorReply) return ''
    throw error
  })
  return /^run_id:(\w+)/m.exec(info)?.[1] ?? ''
}

export class ValkeyTimeoutError extends Error {
  readonly code = 'no response in time'
}

/** Host, port and database of a URL: neither user nor password. */
export function addressOf(url: string): string {
  const { hostname, port, pathname } = new URL(url)
  return `${hostname}:${port === '' ? '6379' : port}${pathname.length > 1 ? pathname : ''}`
}

const ADVICE: Readonly<Record<string, string>> = {
  WRONGPASS: 'refuses the user or password; check limits.valkey.url',
  NOAUTH: 'needs a password; put it into limits.valkey.url',
  NOPERM:
    'does not allow the user of limits.valkey.url what Sealift needs (keys and channels under the prefix, scripts, pub/sub)',
  NOPROTO: 'is older than version 6; limits.valkey.url must name a newer one',
  READONLY: 'is a replica that cannot be written; limits.valkey.url must name the primary',
  MOVED: 'is a node of a cluster; limits.valkey.url must name a single primary',
  OOM: 'has no memory left',
  LOADING: 'is still starting',
  DENIED: 'is in protected mode',
  ECONNREFUSED: 'refuses connections; is it running, and is limits.valkey.url right?',
  ENOTFOUND: 'has a host name that cannot be resolved; check limits.valkey.url',
}

/**
 * An error that names the setting and holds nothing that was sent: commands may carry the password.
 * @param address as `addressOf` returns it
 */
export function linkError(address: string, cause: unknown): SealiftError {
  const code = codeOf(cause)
  const problem = ADVICE[code] ?? `cannot be used (${code}); check limits.valkey.url`
  return new SealiftError('unavailable', `Valkey at ${address} ${problem}`, { context: { cause: code } })
}

/** The system's code, or the first word of the server's error and no more: a server may echo the command. */
function codeOf(cause: unknown): string {
  // Servers before version 6 lack HELLO.
  if (cause instanceof ErrorReply && /unknown command .HELLO/i.test(cause.message)) return 'NOPROTO'
  if (cause instanceof ErrorReply) return /^-?([A-Z]{2,20})\b/.exec(cause.message)?.[1] ?? 'ERR'
  if (!(cause instanceof Error)) return 'unknown'
  if ('code' in cause && typeof cause.code === 'string') return cause.code
  return cause.constructor.name
}

/** The server does not have the script: it restarted, or its scripts were flushed. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof ErrorReply && error.message.startsWith('NOSCRIPT')
}
