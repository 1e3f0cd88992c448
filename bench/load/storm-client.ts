/** Keeps a number of connections busy with GETs of equal size for some seconds, on raw sockets, and prints the rate. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'

import { randomNumbers } from '../random.ts'

interface Plan {
  readonly origin: string
  readonly paths: readonly string[]
  readonly connections: number
  readonly seconds: number
  readonly bodyBytes: number
}

const READ_BYTES = 256 * 1024
const NOTHING = Buffer.alloc(0)
const STATUS = Buffer.from('HTTP/1.1 200')
const plan = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Plan
const url = new URL(plan.origin)
const requests = plan.paths.map(path => Buffer.from(`GET ${path} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`))
const random = randomNumbers(1)
let responses = 0

for (let index = 0; index < plan.connections; index++) keepBusy()
const beganAt = process.hrtime.bigint()
setTimeout(() => {
  console.log(`rate=${responses / (Number(process.hrtime.bigint() - beganAt) / 1e9)}`)
  process.exit(0)
}, plan.seconds * 1000)

/** One connection: asks, waits for the head and exactly `bodyBytes` more, asks again. */
function keepBusy(): void {
  /** Bytes still to come; `null`: those of the head as well. */
  let left: number | null = null
  let head: Buffer = NOTHING
  const take = (bytes: Buffer): void => {
    if (left === null) {
      const seen = head.length === 0 ? bytes : Buffer.concat([head, bytes])
      const end = seen.indexOf('\r\n\r\n')
      if (end < 0) {
        // What was read is overwritten by what comes next.
        head = Buffer.from(seen)
        return
      }
      if (!seen.subarray(0, STATUS.length).equals(STATUS)) fail(seen.toString('latin1', 0, 200))
      left = plan.bodyBytes - (seen.length - end - 4)
    } else left -= bytes.length
    if (left > 0) return
    responses++
    next()
  }
  const next = (): void => {
    head = NOTHING
    left = null
    socket.write(requests[Math.floor(random() * requests.length)] ?? '')
  }
  const socket = connect({
    host: url.hostname,
    port: Number(url.port),
    onread: {
      buffer: Buffer.allocUnsafe(READ_BYTES),
      callback(count, buffer) {
        take(Buffer.from(buffer.buffer, buffer.byteOffset, count))
        return true
      },
    },
  })
  socket.setNoDelay(true)
  socket.on('connect', next)
  socket.on('error', error => fail(error.message))
  socket.on('close', () => fail('a connection closed'))
}

function fail(reason: string): never {
  console.error(`Load failed: ${reason}`)
  process.exit(1)
}
