import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, expect, test } from 'vitest'

import type { NodeSealift } from '../../src/client/node/index.ts'
import { byteFilm } from '../support/byte-film.ts'
import { cutTrack, makeClip, outgoing, runProgram } from '../support/ffmpeg-film.ts'
import { startPlay } from '../support/playing.ts'
import { clientIn, content } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

// A busy machine lets the audio run dry, of which the player and its audio output warn; what it plays is not at fault.
const MPV = [
  '--no-config',
  '--vo=null',
  '--ao=null',
  '--untimed',
  '--no-input-terminal',
  '--msg-level=all=warn,cplayer=error,ao=error',
]

// mpv reads no further than it shows. When mpv 0.35 has read a fragmented MP4 to its end before the first seek, it
// warns of edit lists for each packet, with any server; it then shows the right places all the same.
const SEEKING = ['--pause', '--cache=no']

const SEEKS = fileURLToPath(new URL('../support/mpv-seeks.lua', import.meta.url))

let server: TestServer
let home: TempDirectory
let sealift: NodeSealift

beforeEach(async () => {
  server = await startTestServer()
  home = await tempDirectory()
  sealift = clientIn(home.path, { server: server.url })
})

afterEach(async () => {
  await sealift[Symbol.asyncDispose]()
  await server[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

test('mpv plays a film to its end, and seeks to twenty places of a track, without a warning', async () => {
  const clip = join(home.path, 'clip.mp4')
  await makeClip(clip, 6)
  const rendition = await cutTrack(clip, join(home.path, 'cut'), ['-map', '0:v:0', '-map', '0:a:0'])
  const film = await outgoing({ rendition })
  const { link } = await sealift.send([{ name: 'film.mp4', source: content('own', 100), film }])
  await using playing = await startPlay([link])
  expect(await runProgram('mpv', [...MPV, playing.url])).toEqual({ code: 0, stdout: '', stderr: '' })
  const sought = await runProgram('mpv', [...MPV, ...SEEKING, `--script=${SEEKS}`, playing.beside('r0.mp4')])
  expect(sought, sought.stdout).toMatchObject({ code: 0, stderr: '' })
  expect(sought.stdout.trimEnd().split('\n'), sought.stdout.slice(0, 2000)).toHaveLength(20)
})

test('mpv opens no other address that a file or a track names', async () => {
  const asked: (string | undefined)[] = []
  const elsewhere = createServer((req, res) => {
    asked.push(req.url)
    res.end()
  }).listen(0, '127.0.0.1')
  await once(elsewhere, 'listening')
  const { port } = elsewhere.address() as AddressInfo
  const text = `#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:${port}/a.ts\n#EXT-X-ENDLIST\n`
  const list = new TextEncoder().encode(text.padEnd(2000, '\n'))
  const { link } = await sealift.send([
    { name: 'list.mp4', type: 'video/mp4', source: list },
    { name: 'film.mp4', source: content('own', 100), film: byteFilm(list) },
  ])
  for (const item of ['1', '2']) {
    await using playing = await startPlay([link, item])
    await runProgram('mpv', [...MPV, playing.url]).catch(() => undefined)
  }
  elsewhere.close()
  expect(asked).toEqual([])
})
