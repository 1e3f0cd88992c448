import { readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { describe, expect, it } from 'vitest'

import { makeFolder } from '../../../src/files/make-folder.ts'
import { systemReason } from '../../../src/files/system-failure.ts'
import { tempDirectory } from '../../support/temp-directory.ts'

const SOURCES = fileURLToPath(new URL('../../../src', import.meta.url))

describe('folders', () => {
  it('are made with those above them, once or many times at once', async () => {
    await using home = await tempDirectory()
    const path = join(home.path, 'a/b/c')
    await Promise.all(Array.from({ length: 8 }, () => makeFolder(path, 0o700)))
    await makeFolder(path)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    expect((await stat(join(home.path, 'a'))).mode & 0o777).toBe(0o700)
  })

  it('are found through links', async () => {
    await using home = await tempDirectory()
    await makeFolder(join(home.path, 'real'))
    await symlink('real', join(home.path, 'link'))
    await makeFolder(join(home.path, 'link/inner'))
    expect(await readdir(join(home.path, 'real'))).toEqual(['inner'])
  })

  it.runIf(process.platform === 'linux')('that a file system does not take fail at once', async () => {
    await expect(makeFolder('/proc/x/y')).rejects.toMatchObject({ code: 'ENOTSUP', path: '/proc/x' })
  })

  it('that cannot be made fail with the true reason', async () => {
    await using home = await tempDirectory()
    await writeFile(join(home.path, 'file'), '')
    await symlink('loop', join(home.path, 'loop'))
    await symlink('nowhere', join(home.path, 'dangling'))
    const expected = { file: 'ENOTDIR', 'file/x': 'ENOTDIR', 'loop/x': 'ELOOP', ['n'.repeat(300)]: 'ENAMETOOLONG' }
    for (const [path, code] of Object.entries({ ...expected, dangling: 'EEXIST' })) {
      await expect(makeFolder(join(home.path, path)), path).rejects.toMatchObject({ code })
      expect(systemReason(code)).toMatch(/\w/)
    }
  })

  it('are made in one place alone: nothing else of src calls mkdir with recursive', async () => {
    const names = (await readdir(SOURCES, { recursive: true })).filter(name => name.endsWith('.ts'))
    const recursive: string[] = []
    for (const name of names) {
      const text = await readFile(join(SOURCES, name), 'utf8')
      // Also under another name, and however it is laid out.
      const makes = /\b(mkdir(Sync)?|cp(Sync)?)\b/.test(text)
      const calls = /\bmkdir(Sync)?\s*\([^;]*?recursive/s.test(text) || (makes && /recursive:\s*true/.test(text))
      if (calls) recursive.push(name)
    }
    expect(names.length).toBeGreaterThan(400)
    expect(recursive).toEqual([])
  })
})
