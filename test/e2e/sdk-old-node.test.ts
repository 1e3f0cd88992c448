import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { describe, expect, test } from 'vitest'

const ENTRIES = ['client/node/index', 'video/node'] as const

/** Makes this Node look like an older one, and undici fail as it does there. */
const OLDER = `data:text/javascript,${encodeURIComponent(
  `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.19.2' } })
  Object.defineProperty(process.getBuiltinModule('node:zlib'), 'createZstdDecompress', { value: undefined })`,
)}`

/** A Node on the path that is older than the one the package needs; `null`: there is none. */
function olderNode(): string | null {
  const candidates = (process.env['PATH'] ?? '').split(delimiter).map(folder => join(folder, 'node'))
  const isOlder = (path: string): boolean =>
    existsSync(path) && /^v(\d|1\d|2[0-3])\./.test(spawnSync(path, ['--version'], { encoding: 'utf8' }).stdout)
  return candidates.find(isOlder) ?? null
}

function failureOf(program: string, options: readonly string[], file: string): string {
  const { stderr } = spawnSync(program, [...options, '--input-type=module', '--eval', importing(file)], {
    encoding: 'utf8',
  })
  return stderr
}

const importing = (file: string): string =>
  `import(${JSON.stringify(pathToFileURL(file).href)}).catch(error => process.stderr.write(error.message))`

describe.each(ENTRIES)('src/%s on an older Node', entry => {
  test('says which one it needs, before a library fails', () => {
    const failure = failureOf(process.execPath, ['--import', OLDER], join('src', `${entry}.ts`))
    expect(failure).toBe(`sealift/node needs Node 24 or newer; this is Node 20.19.2 (${process.execPath})`)
  })

  const older = olderNode()
  const built = join('dist', `${entry}.js`)
  test.runIf(older !== null && existsSync(built))('says so where there is one', () => {
    expect(failureOf(older ?? '', [], built)).toMatch(/^sealift\/node needs Node 24 or newer; this is Node \d+\./)
  })
})
