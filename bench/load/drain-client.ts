/**
 * Downloads one URL over one connection into the same memory again and again, checks the length, and says how long it
 * took.
 */
import { connect } from 'node:net'

const [, , address = '', expected = '0'] = process.argv
const READ_BYTES = 1024 * 1024
const url = new URL(address)
const head: string[] = []
let received = 0
let headBytes = -1
let beganAt = 0n

const socket = connect({
  host: url.hostname,
  port: Number(url.port),
  onread: {
    buffer: Buffer.allocUnsafe(READ_BYTES),
    callback(count, buffer) {
      if (headBytes < 0) readHead(Buffer.from(buffer.buffer, buffer.byteOffset, count))
      received += count
      if (headBytes >= 0 && received - headBytes >= Number(expected)) finish()
      return true
    },
  },
})
socket.on('connect', () => {
  beganAt = process.hrtime.bigint()
  socket.write(`GET ${url.pathname} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: close\r\n\r\n`)
})
socket.on('close', () => fail(`the connection closed after ${received} bytes`))
socket.on('error', error => fail(error.message))

function readHead(bytes: Buffer): void {
  head.push(bytes.toString('latin1'))
  const text = head.join('')
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return
  if (!text.startsWith('HTTP/1.1 200')) fail(text.slice(0, 200))
  headBytes = end + 4
}

function finish(): void {
  const seconds = Number(process.hrtime.bigint() - beganAt) / 1e9
  if (received - headBytes !== Number(expected)) fail(`${received - headBytes} bytes instead of ${expected}`)
  console.log(`seconds=${seconds}`)
  process.exit(0)
}

function fail(reason: string): never {
  console.error(`Download failed: ${reason}`)
  process.exit(1)
}
