/**
 * Keeps uploads and downloads of large media in flight, each on a connection of its own, each as fast as it can. An
 * upload is aborted after a few parts and started again, so that the disk need not hold all of them. Prints `in flight`
 * once every transfer has moved its first bytes, and on SIGTERM what has been moved since; then ends.
 */
import { connect } from 'node:net'

import { ask } from '../requests.ts'
import { exchange, partOf } from './way.ts'

export interface HoldPlan {
  readonly origin: string
  readonly uploads: number
  readonly downloads: number
  /** Of the media that all downloads read, and that every upload declares. */
  readonly sizeBytes: number
  readonly mediaId: string
  readonly partBytes: number
  /** Parts of an upload before it is given up. */
  readonly partsEach: number
}

const plan = JSON.parse(process.argv[2] ?? '') as HoldPlan
const host = new URL(plan.origin)
const body = partOf(plan.partBytes)
const waiting = new Set<number>()
const moved = { up: 0, down: 0 }

for (let index = 0; index < plan.uploads + plan.downloads; index++) waiting.add(index)
for (let index = 0; index < plan.downloads; index++) keepDownloading(index)
for (let index = 0; index < plan.uploads; index++) void keepUploading(plan.downloads + index)
process.once('SIGTERM', () => {
  console.log(`moved up=${moved.up} down=${moved.down}`)
  process.exit(0)
})

function began(index: number): void {
  if (!waiting.delete(index) || waiting.size > 0) return
  moved.up = 0
  moved.down = 0
  console.log('in flight')
}

function keepDownloading(index: number): void {
  let isFirst = true
  const socket = connect(Number(host.port), host.hostname)
  socket.write(`GET /v1/media/${plan.mediaId} HTTP/1.1\r\nHost: ${host.host}\r\nConnection: close\r\n\r\n`)
  socket.on('data', bytes => {
    if (isFirst && !bytes.toString('latin1', 0, 12).startsWith('HTTP/1.1 200'))
      fail(new Error(bytes.toString('latin1')))
    isFirst = false
    moved.down += bytes.length
    began(index)
  })
  socket.on('close', () => keepDownloading(index))
  socket.on('error', fail)
}

async function keepUploading(index: number): Promise<void> {
  for (;;) {
    const begun = await ask({ method: 'POST', url: `${plan.origin}/v1/uploads`, json: { sizeBytes: plan.sizeBytes } })
    const url = `${plan.origin}/v1/uploads/${(JSON.parse(begun.body) as { uploadId: string }).uploadId}`
    for (let part = 0; part < plan.partsEach; part++) {
      await exchange({ method: 'PUT', url: `${url}/parts/${part}`, body })
      moved.up += body.length
      began(index)
    }
    await ask({ method: 'DELETE', url })
  }
}

function fail(error: Error): never {
  console.error(`Load failed: ${error.message}`)
  process.exit(1)
}
