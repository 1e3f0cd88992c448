import type { Socket } from 'node:net'
import { buildConnector } from 'undici'

import type { ReceiveMemory } from './receive-memory.ts'

/** What fills less of its buffer is copied: it may be held for long, while the buffer takes the next bytes. */
const WORTH_KEEPING = 1 / 4
/** Nothing more is read while something that was read waits to be looked at: two buffers would be joined by a copy. */
const HIGH_WATER_MARK = 1

/**
 * Connects undici to the service so that bytes arrive in `memory`, where Node would make a buffer of 64 KiB for each
 * read. With TLS they come in records of 16 KiB, for each of which Node makes a buffer.
 */
export function receivingConnector(memory: ReceiveMemory, timeoutMs: number): buildConnector.connector {
  const plain = buildConnector({ timeout: timeoutMs })
  return (options, callback) => {
    if (options.protocol === 'https:') return plain(options, callback)
    const receiver = new Receiver(memory)
    const connect = buildConnector({
      timeout: timeoutMs,
      highWaterMark: HIGH_WATER_MARK,
      onread: { buffer: receiver.next, callback: receiver.received },
    } as buildConnector.BuildOptions)
    connect(options, (...result) => {
      if (result[1]) receiver.serve(result[1])
      else memory.forget(receiver)
      callback(...result)
    })
  }
}

/** The buffers of one connection: one is always ready for what comes next. */
class Receiver {
  readonly #memory: ReceiveMemory
  #ready: Uint8Array | null = null
  #socket: Socket | null = null

  constructor(memory: ReceiveMemory) {
    this.#memory = memory
  }

  serve(socket: Socket): void {
    this.#socket = socket
    socket.once('close', () => this.#memory.forget(this))
  }

  next = (): Uint8Array => (this.#ready ??= this.#memory.take(this))

  received = (bytes: number, buffer: Uint8Array): boolean => {
    const piece = buffer.subarray(0, bytes)
    if (bytes <= buffer.length * WORTH_KEEPING) return this.#socket?.push(Buffer.from(piece)) ?? false
    this.#ready = null
    return this.#socket?.push(piece) ?? false
  }
}
