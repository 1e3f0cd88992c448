/** One connection, from its first byte to its end: it is never mended, only replaced. */
import { createClient, ErrorReply } from 'redis'

export interface Session {
  /** False from the moment it breaks. */
  readonly isOpen: boolean
  /** Of the process that answers: another one may know less than this one did. Empty when it does not tell. */
  readonly serverId: string
  send(args: readonly string[]): Promise<unknown>
  subscribe(channel: string, listener: (message: string) => void): Promise<void>
  /** Whether it has subscribed to this channel. */
  hears(channel: string): boolean
  end(): void
}

export interface SessionOptions {
  readonly url: string
  /** Longest wait for all of it: connection, password, subscriptions, a first write. */
  readonly timeoutMs: number
  /** By full name of the channel. */
  readonly listeners: ReadonlyMap<string, (message: string) => void>
  /** Written once, so that a server that takes no writes is not taken for one that works. */
  readonly probeKey: string
  /** Told once when it breaks by itself after it was opened. */
  readonly onEnd: (session: Session, error: unknown) => void
}

/** @throws whatever the system or the server answers */
export async function openSession(options: SessionOptions): Promise<Session> {
  const { promise: failed, reject } = Promise.withResolvers<never>()
  failed.catch(() => undefined)
  const client = newClient(options)
  // One listener for all its life: the client is not the emitter itself, and loses what is added after a removal.
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
    hears: channel => channels.has(channel),
    end() {
      onError = () => undefined
      if (client.isOpen) client.destroy()
    },
  }
  const timer = setTimeout(() => reject(new ConnectTimeoutError()), options.timeoutMs)
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
    // The third version of the protocol carries answers and messages on one connection.
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

/** Empty where the user may not ask. */
async function readServerId(client: ReturnType<typeof newClient>): Promise<string> {
  const facts = await client.sendCommand<string>(['INFO', 'server']).catch((error: unknown) => {
    if (error instanceof ErrorReply) return ''
    throw error
  })
  return /^run_id:(\w+)/m.exec(facts)?.[1] ?? ''
}

class ConnectTimeoutError extends Error {
  readonly code = 'no answer in time'
}
