/**
 * Packages a film by copying and throws the result away, while what it was made of is described as in a send:
 * `package-client.ts DIST FILM`. Prints seconds and the most memory it had.
 */
import { join } from 'node:path'

import type * as Sdk from '../../src/client/node/index.ts'
import type * as Suites from '../../src/sealing/node-suite.ts'
import type * as Video from '../../src/video/index.ts'
import { residentBytes } from '../proc.ts'

const [, , dist = '', path = ''] = process.argv
const { fileSource } = (await import(join(dist, 'client/node/index.js'))) as typeof Sdk
const { createRemuxer, originalMaker } = (await import(join(dist, 'video/index.js'))) as typeof Video
const { nodeSuite } = (await import(join(dist, 'sealing/node-suite.js'))) as typeof Suites

const source = await fileSource(path)
const { signal } = new AbortController()
const began = performance.now()
const film = await createRemuxer().package({ source }, { signal })
const [track] = film.renditions
if (!track) throw new Error('There is nothing to play in it.')
const { bytes, runs } = originalMaker(nodeSuite).watch(track.bytes, source, signal)
const [filmBytes, runBytes] = await Promise.all([drain(bytes), drain(runs)])
const seconds = (performance.now() - began) / 1000
const { peak } = await residentBytes(process.pid)
console.log(
  `seconds=${seconds} peak=${peak} film=${filmBytes} runs=${runBytes} segments=${track.layout.segments.length}`,
)

async function drain(stream: ReadableStream<Uint8Array>): Promise<number> {
  let total = 0
  for await (const piece of stream) total += piece.byteLength
  return total
}
