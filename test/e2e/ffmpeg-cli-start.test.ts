/** What `send` does before its first request: little, so that bytes are sent soon. */
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { spawn } from 'node:child_process'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { bundleCommand } from '../../scripts/bundle-command.ts'
import { films, type Films } from '../support/films.ts'
import { cleanEnvironment } from '../support/running-cli.ts'
import { tempDirectory, type TempDirectory } from '../support/temp-directory.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const HOOK = fileURLToPath(new URL('../support/loaded-modules.ts', import.meta.url))

let home: TempDirectory
let made: Films
let server: Server
let onRequest: (what: string) => void = () => undefined
let film: string
let text: string
let cases = 0

beforeAll(async () => {
  home = await tempDirectory()
  made = await films()
  film = await made.make({ seconds: 2, size: '128x72' })
  text = join(home.path, 'note.txt')
  await writeFile(text, 'hello')
  server = createServer(({ method, url }) => onRequest(`${method} ${url}`))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
})

afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await made[Symbol.asyncDispose]()
  await home[Symbol.asyncDispose]()
})

interface Start {
  readonly request: string
  /** URLs of the modules that the main thread had loaded at the first request, without those of Node. */
  readonly loaded: readonly string[]
  /** A program that stands for ffmpeg had been started. */
  readonly ffmpeg: boolean
}

/** Starts `main`, and looks at it when its first request comes. The request gets no response. */
async function firstRequest(main: string, args: readonly string[]): Promise<Start> {
  cases += 1
  const own = join(home.path, `case-${cases}`)
  await mkdir(own)
  const [log, marker, ffmpeg] = [join(own, 'loaded'), join(own, 'started'), join(own, 'ffmpeg')]
  await writeFile(ffmpeg, `#!/bin/sh\n: > ${marker}\nexit 1\n`)
  await chmod(ffmpeg, 0o755)
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  onRequest = resolve
  const child = spawn(process.execPath, ['--import', HOOK, main, 'send', ...args], {
    env: {
      ...cleanEnvironment(),
      XDG_STATE_HOME: own,
      SEALIFT_SERVER: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      SEALIFT_FFMPEG: ffmpeg,
      SEALIFT_TEST_LOADED: log,
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<void>(done => child.once('close', () => done()))
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (words: string) => (stderr += words))
  void ended.then(() => reject(new Error(`It ended without a request: ${stderr}`)))
  try {
    const request = await promise
    const lines = (await readFile(log, 'utf8')).split('\n').filter(line => line.startsWith('main file:'))
    return { request, loaded: lines.map(line => line.slice('main '.length)), ffmpeg: existsSync(marker) }
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

const SOURCE = join(ROOT, 'src/cli/main.ts')
const matching = ({ loaded }: Start, pattern: RegExp): readonly string[] => loaded.filter(url => pattern.test(url))
const SERVER = /\/src\/server\/|\/node_modules\/(express|better-sqlite3|kysely|pg|pino|redis|@aws-sdk)\//

test('a file is being sent before anything is loaded that only films or servers need', async () => {
  const start = await firstRequest(SOURCE, [text])
  expect(start.request).toBe('POST /v1/media')
  expect(matching(start, SERVER)).toEqual([])
  expect(matching(start, /\/src\/video\/|\/node_modules\/(mediabunny|fluent-ffmpeg|hls\.js)\//)).toEqual([])
})

test.each([[['--live']], [['--live', '--no-previews']]])(
  'the link of a film waits for neither ffmpeg nor the demuxer, %j',
  async options => {
    const start = await firstRequest(SOURCE, [...options, film])
    expect(start.request).toBe('POST /v1/parcels')
    expect(matching(start, SERVER)).toEqual([])
    expect(
      matching(start, /\/src\/video\/ladder\/ladder-|\/node_modules\/(mediabunny|fluent-ffmpeg|hls\.js)\//),
    ).toEqual([])
    expect(start.ffmpeg).toBe(false)
  },
)

test('as it is shipped, the command is a few files', async () => {
  const shipped = join(home.path, 'shipped')
  await mkdir(shipped)
  await symlink(join(ROOT, 'node_modules'), join(shipped, 'node_modules'))
  await copyFile(join(ROOT, 'package.json'), join(shipped, 'package.json'))
  await bundleCommand(join(shipped, 'dist/cli'))
  const main = join(shipped, 'dist/cli/main.js')
  for (const args of [[text], ['--live', film]]) {
    const start = await firstRequest(main, args)
    expect(matching(start, /\/node_modules\//)).toEqual([])
    expect(start.loaded.length).toBeLessThanOrEqual(60)
  }
})
