/**
 * Keeps many uploads and downloads in flight, each on a connection of its own.
 * `slow`: each trickles, so that all stay open at once for as long as asked. `fast`: each moves as fast as it can and
 * begins anew when it is done. Prints `in flight` once every transfer has moved its first bytes; ends on SIGTERM.
 */
import { connect, type Socket } from 'node:net'

import { randomFill } from '../random.ts'
import { ask } from './requests.ts'

interface Plan {
  readonly origin: string
  readonly mode: 'slow' | 'fast'
  readonly uploads: number
  readonly downloads: number
  /** Paths of stored media to download. */
  readonly paths: readonly string[]
}

const SLOW_BYTES = 16 * 1024
const SLOW_EVERY_MS = 250
const SLOW_UPLOAD_BYTES = 8 * 1024 * 1024
const FAST_UPLOAD_BYTES = 1024 * 1024
const plan = JSON.parse(process.argv[2] ?? '{}') as Plan
const slow = plan.mode === 'slow'
const host = new URL(plan.origin)
const block = randomFill(slow ? SLOW_BYTES : FAST_UPLOAD_BYTES, 11)
const uploadBytes = slow ? SLOW_UPLOAD_BYTES : FAST_UPLOAD_BYTES
let waiting = plan.uploads + plan.downloads

process.once('SIGTERM', () => process.exit(0))
for (let index = 0; index < plan.downloads; index++) keepDownloading(plan.paths[index % plan.paths.length] ?? '')
for (let index = 0; index < plan.uploads; index++) void keepUploading()

function moved(): void {
  if (--waiting === 0) console.log('in flight')
}

/** Calls `moved` once. */
function once(): () => void {
  let called = false
  return () => {
    if (!called) moved()
    called = true
  }
}

function keepDownloading(path: string, first = once()): void {
  const socket = connect(Number(host.port), host.hostname)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: ${host.host}\r\nConnection: close\r\n\r\n`)
  socket.on('data', bytes => {
    first()
    if (slow) trickle(socket, bytes.length)
  })
  socket.on('close', () => keepDownloading(path, first))
  socket.on('error', fail)
}

function trickle(socket: Socket, bytes: number): void {
  socket.pause()
  setTimeout(() => socket.resume(), (bytes / SLOW_BYTES) * SLOW_EVERY_MS)
}

async function keepUploading(): Promise<void> {
  const first = once()
  for (;;) {
    const begun = await ask({ method: 'POST', url: `${plan.origin}/v1/uploads`, json: { sizeBytes: uploadBytes } })
    const { uploadId } = JSON.parse(begun.body) as { uploadId: string }
    await putPart(uploadId, first)
    await ask({ method: 'DELETE', url: `${plan.origin}/v1/uploads/${uploadId}` })
  }
}

function putPart(uploadId: string, first: () => void): Promise<void> {
  return new Promise(resolve => {
    const socket = connect(Number(host.port), host.hostname)
    socket.write(
      `PUT /v1/uploads/${uploadId}/parts/0 HTTP/1.1\r\nHost: ${host.host}\r\nConnection: close\r\n` +
        `Content-Type: application/octet-stream\r\nContent-Length: ${uploadBytes}\r\n\r\n`,
    )
    let sent = 0
    const send = (): void => {
      first()
      sent += block.length
      if (sent >= uploadBytes) socket.write(block)
      else socket.write(block, () => setTimeout(send, slow ? SLOW_EVERY_MS : 0))
    }
    socket.on('connect', send)
    socket.on('data', bytes => {
      if (!bytes.toString('latin1').startsWith('HTTP/1.1 204')) fail(new Error(bytes.toString('latin1').slice(0, 300)))
    })
    socket.on('close', resolve)
    socket.on('error', fail)
  })
}

function fail(error: Error): never {
  console.error(`Load failed: ${error.message}`)
  process.exit(1)
}
