import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, expect, test } from 'vitest'

import type { NodeSealift } from '../../src/client/node/index.ts'
import { cutTrack, makeClip, outgoing, runProgram } from '../support/ffmpeg-film.ts'
import { startPlay } from '../support/playing.ts'
import { clientIn, content } from '../support/sdk.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'
import { startTestServer, type TestServer } from '../support/test-server.ts'

// A busy machine lets the sound run dry, of which the player itself warns; that is no fault of what it plays.
const MPV = [
  '--no-config',
  '--vo=null',
  '--ao=null',
  '--untimed',
  '--no-input-terminal',
  '--msg-level=all=warn,cplayer=error',
]

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
  const sought = await runProgram('mpv', [...MPV, '--pause', `--script=${SEEKS}`, playing.beside('r0.mp4')])
  expect(sought, sought.stdout).toMatchObject({ code: 0, stderr: '' })
  expect(sought.stdout.trimEnd().split('\n')).toHaveLength(20)
})
