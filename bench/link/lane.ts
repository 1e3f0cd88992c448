/**
 * One direction of a link: a line of fixed rate that its flows share in turns, then a fixed delay. Each flow may have a
 * window of bytes in flight, which begins small and doubles with every round trip, like TCP's without loss.
 */
export interface LaneOptions {
  readonly bytesPerMs: number
  readonly delayMs: number
  /** Monotonic, in ms, with fractions. */
  readonly now: () => number
}

export interface Flow {
  /** Bytes given to the lane that have not left yet. */
  readonly waitingBytes: number
  /** Hands bytes to the lane. */
  push(bytes: Buffer): void
  /** `close` is called when everything pushed before has arrived. */
  end(close: () => void): void
  /** Forgets what has not left yet. */
  destroy(): void
}

/** Takes what arrives; `taken` is to be called when the receiver has room for more. */
export type Arrive = (bytes: Buffer, taken: () => void) => void

const QUANTUM_BYTES = 16 * 1024
const FIRST_WINDOW_BYTES = 10 * 1448
const LAST_WINDOW_BYTES = 4 * 1024 * 1024

interface Line {
  readonly waiting: Buffer[]
  readonly arrive: Arrive
  waitingBytes: number
  onTheWayBytes: number
  windowBytes: number
  /** Called when a flow's bytes left the queue, so that its source may be read again. */
  readonly drained: () => void
  close: (() => void) | null
  gone: boolean
}

interface Event {
  readonly at: number
  readonly happen: () => void
}

export class Lane {
  readonly #options: LaneOptions
  /** Flows with something to send, in turns. */
  readonly #ready: Line[] = []
  /** In order of time: both kinds of event have a fixed delay of their own. */
  readonly #arrivals: Event[] = []
  readonly #acknowledgements: Event[] = []
  /** When the line has sent all it was given. */
  #freeAt = 0
  #timer: NodeJS.Timeout | null = null

  constructor(options: LaneOptions) {
    this.#options = options
  }

  open(arrive: Arrive, drained: () => void): Flow {
    const line: Line = {
      waiting: [],
      arrive,
      waitingBytes: 0,
      onTheWayBytes: 0,
      windowBytes: FIRST_WINDOW_BYTES,
      drained,
      close: null,
      gone: false,
    }
    return {
      get waitingBytes() {
        return line.waitingBytes
      },
      push: bytes => this.#push(line, bytes),
      end: close => this.#end(line, close),
      destroy: () => {
        line.gone = true
        line.waiting.length = 0
      },
    }
  }

  #push(line: Line, bytes: Buffer): void {
    line.waiting.push(bytes)
    line.waitingBytes += bytes.length
    if (line.waiting.length === 1) this.#makeReady(line)
  }

  #end(line: Line, close: () => void): void {
    line.close = close
    if (line.waiting.length === 0) this.#schedule(this.#arrivals, this.#options.delayMs, close)
    this.#run()
  }

  #makeReady(line: Line): void {
    // A line that was idle starts now; one that is busy goes on from where its last bytes end, however late timers are.
    if (this.#ready.length === 0) this.#freeAt = Math.max(this.#freeAt, this.#options.now())
    this.#ready.push(line)
    this.#run()
  }

  #schedule(events: Event[], afterMs: number, happen: () => void): void {
    events.push({ at: this.#options.now() + afterMs, happen })
  }

  #run(): void {
    const now = this.#options.now()
    this.#happenUntil(this.#acknowledgements, now)
    this.#sendUntil(now)
    this.#happenUntil(this.#arrivals, now)
    this.#wakeUp(now)
  }

  #happenUntil(events: Event[], now: number): void {
    let count = 0
    while ((events[count]?.at ?? Infinity) <= now) count++
    for (const event of events.splice(0, count)) event.happen()
  }

  #sendUntil(now: number): void {
    while (this.#freeAt <= now) {
      const line = this.#ready.shift()
      if (!line) return
      if (this.#sendQuantum(line)) this.#ready.push(line)
    }
  }

  /** Returns whether the flow may send more. */
  #sendQuantum(line: Line): boolean {
    const room = line.windowBytes - line.onTheWayBytes
    const head = line.waiting[0]
    if (line.gone || !head || room <= 0) return false
    const bytes = head.subarray(0, Math.min(QUANTUM_BYTES, room))
    if (bytes.length === head.length) line.waiting.shift()
    else line.waiting[0] = head.subarray(bytes.length)
    line.waitingBytes -= bytes.length
    line.onTheWayBytes += bytes.length
    this.#freeAt += bytes.length / this.#options.bytesPerMs
    const at = this.#freeAt + this.#options.delayMs
    this.#arrivals.push({ at, happen: () => line.arrive(bytes, () => this.#taken(line, bytes.length)) })
    if (line.waiting.length === 0 && line.close) this.#arrivals.push({ at, happen: line.close })
    line.drained()
    return line.waiting.length > 0
  }

  #taken(line: Line, bytes: number): void {
    this.#schedule(this.#acknowledgements, this.#options.delayMs, () => this.#acknowledge(line, bytes))
    this.#run()
  }

  #acknowledge(line: Line, bytes: number): void {
    line.onTheWayBytes -= bytes
    line.windowBytes = Math.min(LAST_WINDOW_BYTES, line.windowBytes + bytes)
    if (line.waiting.length > 0 && !this.#ready.includes(line)) this.#makeReady(line)
  }

  #wakeUp(now: number): void {
    if (this.#timer) clearTimeout(this.#timer)
    const next = Math.min(
      this.#ready.length > 0 ? this.#freeAt : Infinity,
      this.#arrivals[0]?.at ?? Infinity,
      this.#acknowledgements[0]?.at ?? Infinity,
    )
    this.#timer = next === Infinity ? null : setTimeout(() => this.#run(), Math.max(0, next - now))
  }
}
