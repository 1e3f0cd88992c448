import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { films, type Films } from '../support/films.ts'
import { localEnv } from '../support/local-token.ts'
import { runCli } from '../support/running-cli.ts'
import { startServe, type Serving } from '../support/serving.ts'

let made: Films
let serving: Serving

beforeAll(async () => {
  made = await films()
  serving = await startServe(made.folder, {})
})

afterAll(async () => {
  await serving[Symbol.asyncDispose]()
  await made[Symbol.asyncDispose]()
})

/** A demuxer names the codec that it does not know on the console: here four bytes that clear the screen. */
async function speakingFilm(): Promise<string> {
  const bytes = await readFile(await made.make({ seconds: 1, audio: ['aac'] }))
  const entry = bytes.indexOf('stsd') + 'stsd'.length + 8
  expect(bytes.toString('latin1', entry + 4, entry + 8)).toBe('avc1')
  bytes.write('\u001b[2J', entry + 4, 'latin1')
  const path = join(made.folder, 'speaking.mp4')
  await writeFile(path, bytes)
  return path
}

describe('what a library says of a film', () => {
  test.each([
    ['nothing at all with -q', ['-q'], /^$/],
    ['nothing of its own otherwise', ['--no-previews'], /Sent 1 item/],
  ])('is %s', async (_, options, says) => {
    const env = { SEALIFT_SERVER: serving.url, ...localEnv(serving.url), XDG_STATE_HOME: join(made.folder, 'state') }
    const { code, stdout, stderr } = await runCli(['send', await speakingFilm(), ...options], { env })
    expect(code, stderr).toBe(0)
    expect(stdout.toString()).toMatch(/^http\S+\n$/)
    expect(stderr).not.toMatch(/Unsupported|sample entry|(?!\n)\p{Cc}/u)
    expect(stderr).toMatch(says)
  })
})
