/** HTTP by hand, over a bare socket: for requests that no client would send, and connections that are cut. */
import { connect, type Socket } from 'node:net'

import { localAuth } from './local-token.ts'

export interface RawReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  /** True when the connection ended before the body was whole. */
  readonly cut: boolean
}

export class RawConnection implements AsyncDisposable {
  readonly socket: Socket
  /** Grows by doubling, so that large responses are not copied for each chunk. */
  #buffer = Buffer.alloc(64 * 1024)
  #length = 0
  #ended = false
  #wake: () => void = () => undefined

  /** The line that `head` adds, so that the server knows its own user. */
  readonly #localLine: string | null

  private constructor(socket: Socket, localLine: string | null) {
    this.socket = socket
    this.#localLine = localLine
    socket.on('data', (chunk: Buffer) => {
      this.#append(chunk)
      this.#wake()
    })
    const end = () => {
      this.#ended = true
      this.#wake()
    }
    socket.on('end', end).on('close', end).on('error', end)
  }

  /**
   * `bare`: nothing is sent but what the test says. Else a head without `Authorization` gets that of the server's
   * user.
   */
  static async open(url: string, { bare = false } = {}): Promise<RawConnection> {
    const { hostname, port } = new URL(url)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const socket = connect({ host: hostname, port: Number(port) }, resolve).once('error', reject)
    await promise
    const { authorization } = localAuth(url)
    return new RawConnection(socket, bare || !authorization ? null : `Authorization: ${authorization}`)
  }

  /** Lines are joined with CRLF; an empty line ends the headers. */
  head(...lines: string[]): this {
    const local =
      this.#localLine !== null && !lines.some(line => /^authorization:/i.test(line)) ? [this.#localLine] : []
    this.socket.write(`${[...lines, ...local].join('\r\n')}\r\n\r\n`)
    return this
  }

  write(bytes: string | Uint8Array): this {
    this.socket.write(bytes)
    return this
  }

  /** Bytes received and not yet taken. */
  get received(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  #append(chunk: Buffer): void {
    if (this.#length + chunk.length > this.#buffer.length) {
      const larger = Buffer.alloc(2 * (this.#length + chunk.length))
      this.received.copy(larger)
      this.#buffer = larger
    }
    chunk.copy(this.#buffer, this.#length)
    this.#length += chunk.length
  }

  #drop(byteCount: number): void {
    this.#buffer = Buffer.from(this.#buffer.subarray(byteCount, this.#length))
    this.#length = this.#buffer.length
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Waits until `isDone` says so, or the connection ends. */
  async until(isDone: () => boolean): Promise<void> {
    while (!isDone() && !this.#ended) {
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    await this.until(() => false)
  }

  /** The next response, 1xx skipped; `null` when the connection ends without one. */
  async response({ head = false }: { head?: boolean } = {}): Promise<RawReply | null> {
    await this.until(() => this.received.includes('\r\n\r\n'))
    const end = this.received.indexOf('\r\n\r\n')
    if (end < 0) return null
    const [statusLine = '', ...lines] = this.received.subarray(0, end).toString('latin1').split('\r\n')
    const status = Number(statusLine.split(' ')[1])
    this.#drop(end + 4)
    if (status < 200) return this.response({ head })
    const headers = Object.fromEntries(
      lines.map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]),
    )
    const body =
      head || status === 204 || status === 304 ? { body: Buffer.alloc(0), cut: false } : await this.#body(headers)
    return { status, headers, ...body }
  }

  async #body(headers: Readonly<Record<string, string>>): Promise<Pick<RawReply, 'body' | 'cut'>> {
    if (headers['transfer-encoding'] === 'chunked') return this.#chunked()
    const length = Number(headers['content-length'] ?? Infinity)
    await this.until(() => this.received.length >= length)
    const body = this.received.subarray(0, length)
    this.#drop(body.length)
    return { body, cut: Number.isFinite(length) && body.length < length }
  }

  async #chunked(): Promise<Pick<RawReply, 'body' | 'cut'>> {
    const chunks: Buffer[] = []
    for (;;) {
      await this.until(() => this.received.includes('\r\n'))
      const lineEnd = this.received.indexOf('\r\n')
      if (lineEnd < 0) return { body: Buffer.concat(chunks), cut: true }
      const size = Number.parseInt(this.received.subarray(0, lineEnd).toString('latin1'), 16)
      await this.until(() => this.received.length >= lineEnd + 2 + size + 2)
      if (this.received.length < lineEnd + 2 + size + 2) return { body: Buffer.concat(chunks), cut: true }
      chunks.push(this.received.subarray(lineEnd + 2, lineEnd + 2 + size))
      this.#drop(lineEnd + 2 + size + 2)
      if (size === 0) return { body: Buffer.concat(chunks), cut: false }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy()
  }
}
