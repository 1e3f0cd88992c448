/**
 * Plays sealed films in any player: a server on loopback that decrypts and serves HLS and plain files. A URL permits
 * reading the item, so all URLs begin with a secret. A web page in a browser gets nothing: it cannot guess the secret,
 * gets no CORS, and cannot use another name of this machine. Other users of the machine, who may see the secret among
 * the arguments of a player, get nothing either.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

import { isSealiftError, type Parcel } from '../../client/node/index.ts'
import { type Resource, fileName, fileResource } from './resource.ts'
import { FilmResources, poster } from './film-resources.ts'
import { FollowedParcel, type FollowEvents } from './followed-parcel.ts'
import { isOwnPeer } from './peer-user.ts'
import { respond, respondNotFound } from './respond.ts'

const HOST = '127.0.0.1'
const PREFIX_BYTES = 16
/** Each holds a few megabytes at most; players need a handful. */
const MAX_CONNECTIONS = 64

export interface GatewayOptions {
  readonly parcel: Parcel
  /** 0: any free one. */
  readonly port: number
  readonly events: FollowEvents & {
    /** An item could not be read to the end; the player's connection was cut. */
    onReadError(error: unknown, item: number): void
  }
}

/** A gateway that runs. Disposing it ends all connections. */
export class Gateway implements AsyncDisposable {
  readonly followed: FollowedParcel
  readonly #events: GatewayOptions['events']
  readonly #prefix = randomBytes(PREFIX_BYTES).toString('hex')
  readonly #films = new Map<number, FilmResources>()
  readonly #stop = new AbortController()
  /** Whether a connection is this user's. */
  readonly #own = new WeakMap<Socket, Promise<boolean>>()
  readonly #server: Server
  #inFlight = 0

  private constructor({ parcel, events }: GatewayOptions) {
    this.#events = events
    this.followed = new FollowedParcel(parcel, events)
    this.#server = createServer((req, res) => void this.#handle(req, res))
    this.#server.maxConnections = MAX_CONNECTIONS
  }

  /** @throws the system's error when the port cannot be listened on */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options)
    try {
      gateway.#server.listen(options.port, HOST)
      await once(gateway.#server, 'listening')
    } catch (error) {
      gateway.followed[Symbol.dispose]()
      throw error
    }
    return gateway
  }

  /** Where a player finds an item: its film, or its bytes when it is none. */
  urlOf(index: number): string {
    const item = this.followed.item(index)
    const isFilm = this.followed.film(index) !== null
    const path = isFilm || !item ? 'master.m3u8' : `file/${encodeURIComponent(fileName(item))}`
    return `http://${HOST}:${this.#port}/${this.#prefix}/${index}/${path}`
  }

  /** Requests in flight. */
  connections(): number {
    return this.#inFlight
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.followed[Symbol.dispose]()
    this.#stop.abort()
    const closed = once(this.#server, 'close')
    this.#server.close()
    this.#server.closeAllConnections()
    await closed
  }

  get #port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  async #handle(req: IncomingMessage, res: ServerResponse): Promise<void> {
    const gone = new AbortController()
    res.once('close', () => gone.abort())
    const signal = AbortSignal.any([gone.signal, this.#stop.signal])
    const place = this.#placeOf(req)
    if (!place || !(await this.#isOwn(req.socket))) return respondNotFound(res)
    this.#inFlight += 1
    try {
      const resource = await this.#find(place, signal)
      if (resource) await respond(req, res, { resource, signal })
      else respondNotFound(res)
    } catch (error) {
      res.destroy()
      if (signal.aborted) return
      if (isSealiftError(error, 'sender_gone')) this.followed.senderIsGone()
      else this.#events.onReadError(error, place.index)
    } finally {
      this.#inFlight -= 1
    }
  }

  #isOwn(socket: Socket): Promise<boolean> {
    const own = this.#own.get(socket) ?? isOwnPeer(socket)
    this.#own.set(socket, own)
    return own
  }

  /** `null`: the request gets 404. */
  #placeOf({ method, url = '', headers }: IncomingMessage): Place | null {
    const [path = ''] = url.split('?', 1)
    const [root, prefix = '', index = '', ...rest] = path.split('/')
    const isOurs = [`${HOST}:${this.#port}`, `localhost:${this.#port}`].includes(headers.host ?? '')
    const isAllowed = isOurs && root === '' && isSame(prefix, this.#prefix) && (method === 'GET' || method === 'HEAD')
    return isAllowed && /^(?:0|[1-9]\d{0,5})$/.test(index) ? { index: Number(index), name: rest.join('/') } : null
  }

  async #find({ index, name }: Place, signal: AbortSignal): Promise<Resource | null> {
    const item = this.followed.item(index)
    if (!item) return null
    if (name === `file/${encodeURIComponent(fileName(item))}`) return fileResource(this.followed, item)
    if (name === 'poster.jpg') return await poster(this.followed, index, signal)
    const film = this.#films.get(index) ?? new FilmResources(this.followed, index)
    this.#films.set(index, film)
    return await film.find(name, signal)
  }
}

interface Place {
  readonly index: number
  readonly name: string
}

function isSame(given: string, secret: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(secret)]
  return a.byteLength === b.byteLength && timingSafeEqual(a, b)
}
