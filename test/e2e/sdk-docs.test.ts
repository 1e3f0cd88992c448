import { execFile } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { leaveLocalToken, LOCAL_TOKEN } from '../support/local-token.ts'
import { tempDirectory } from '../support/temp-directory.ts'
import type { TempDirectory } from '../support/temp-directory.ts'
import { startTestServer } from '../support/test-server.ts'
import type { TestServer } from '../support/test-server.ts'

const run = promisify(execFile)
const ROOT = join(import.meta.dirname, '../..')
const examples = await examplesOf('docs/sdk.md', 'README.md')
/** These need a page, or films. */
const pageExamples = await examplesOf('docs/video.md')

async function examplesOf(...names: readonly string[]): Promise<readonly string[]> {
  const pages = await Promise.all(names.map(name => readFile(join(ROOT, name), 'utf8')))
  return Array.from(pages.join('\n').matchAll(/^```ts\n(.*?)^```$/gms), match => match[1] ?? '')
}

let server: TestServer
let home: TempDirectory

beforeAll(async () => {
  server = await startTestServer()
  home = await tempDirectory()
  await leaveLocalToken(join(home.path, 'state'), server.url)
  await mkdir(join(home.path, 'album'))
  for (const name of ['photo.jpg', 'album/one.png', 'album/two.png']) await writeFile(join(home.path, name), name)
  const all = [...examples, ...pageExamples]
  await Promise.all(all.map((example, index) => writeFile(fileOf(index), runnable(example))))
  await writeFile(join(home.path, 'package.json'), '{ "type": "module" }')
  await writeFile(join(home.path, 'tsconfig.json'), JSON.stringify(tsconfig()))
})

afterAll(async () => {
  await server.stop()
  await home[Symbol.asyncDispose]()
})

const fileOf = (index: number): string => join(home.path, `example-${index}.ts`)

/** As an app would have it, but from the sources, and against the server of this test. */
function runnable(example: string): string {
  return example
    .replaceAll("'sealift/player'", `'${ROOT}/src/video/player/index.ts'`)
    .replaceAll("'sealift/video/node'", `'${ROOT}/src/video/node.ts'`)
    .replaceAll("'sealift/video'", `'${ROOT}/src/video/index.ts'`)
    .replaceAll("'sealift/sealing'", `'${ROOT}/src/sealing/index.ts'`)
    .replaceAll("'sealift/node'", `'${ROOT}/src/client/node/index.ts'`)
    .replaceAll("'sealift'", `'${ROOT}/src/client/index.ts'`)
    .replaceAll('http://127.0.0.1:7325', server.url)
    .replaceAll("token: 'TOKEN'", `token: '${LOCAL_TOKEN}'`)
}

function tsconfig(): object {
  return {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      typeRoots: [join(ROOT, 'node_modules/@types')],
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: false,
    },
    include: ['example-*.ts'],
  }
}

test('every example of the SDK page, the page on video and the README compiles', async () => {
  const { stdout } = await run(join(ROOT, 'node_modules/.bin/tsc'), ['-p', home.path]).catch(
    (error: { stdout: string }) => error,
  )
  expect(stdout).toBe('')
})

describe('every example of the SDK page runs', () => {
  test.each(examples.map((_, index) => index))('number %i', async index => {
    const env = { ...process.env, XDG_STATE_HOME: join(home.path, 'state') }
    const { stdout } = await run(process.execPath, [fileOf(index)], { cwd: home.path, env })
    expect(stdout).not.toBe('')
  })
})

test('there are examples', () => {
  expect(examples.length).toBeGreaterThan(5)
  expect(pageExamples.length).toBeGreaterThan(0)
})
