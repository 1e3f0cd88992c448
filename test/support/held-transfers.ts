/** Transfers over bare sockets that are held half-way, dripped, or dropped: the worst clients a server meets. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { localAuth } from './local-token.ts'

export interface HeldTransfer {
  readonly socket: Socket
  /** Bytes the server has sent so far. */
  received: number
}

async function open(url: string, request: string): Promise<HeldTransfer> {
  const { hostname, port } = new URL(url)
  const socket = connect({ host: hostname, port: Number(port) })
  // A dropped peer is what these tests are about.
  socket.on('error', () => undefined)
  await once(socket, 'connect')
  const transfer = { socket, received: 0 }
  socket.write(request)
  return transfer
}

/** The header of the server's own user, where it has one. */
function localLine(url: string): string {
  const { authorization } = localAuth(url)
  return authorization === undefined ? '' : `Authorization: ${authorization}\r\n`
}

/** A PUT of one part that sends its headers and the first `bytes`, then holds. */
export async function holdUpload(
  url: string,
  part: { uploadId: string; index: number; sizeBytes: number },
  bytes: number,
): Promise<HeldTransfer> {
  const path = `/v1/uploads/${part.uploadId}/parts/${part.index}`
  const transfer = await open(
    url,
    `PUT ${path} HTTP/1.1\r\nHost: localhost\r\n${localLine(url)}Content-Type: application/octet-stream\r\nContent-Length: ${part.sizeBytes}\r\n\r\n`,
  )
  transfer.socket.write(Buffer.alloc(bytes, 7))
  return transfer
}

/** A GET that reads until `bytes` have come, then stops reading. */
export async function holdDownload(url: string, mediaId: string, bytes: number): Promise<HeldTransfer> {
  const transfer = await open(url, `GET /v1/media/${mediaId} HTTP/1.1\r\nHost: localhost\r\n\r\n`)
  const { socket } = transfer
  await new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      transfer.received += chunk.length
      if (transfer.received < bytes) return
      socket.pause()
      resolve()
    })
    socket.once('close', () => reject(new Error(`closed after ${transfer.received} bytes`)))
  })
  return transfer
}

/** Drops the connection without a word (RST). */
export function drop({ socket }: HeldTransfer): void {
  socket.resetAndDestroy()
}
